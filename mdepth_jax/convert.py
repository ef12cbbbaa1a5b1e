"""Converts a network to TFLite, and verifies on images that the file computes the same.

python -m mdepth_jax.convert --model RUN --output m.tflite                     float32, the size of the run's images
python -m mdepth_jax.convert --model RUN --output m.tflite --quantize float16 --height 256 --width 256
python -m mdepth_jax.convert --model RUN --output m.tflite --quantize int8 --calibration FOLDER --pairs FILE.csv

A file that is not accurate enough is not written: float32 within 1e-4 of the range of the depth, float16 within 1e-3,
int8 and dynamic with a rank correlation of 0.99; with --pairs all of them within half a point of WHDR. Next to
m.tflite it writes m.golden.png and m.golden.f32, an input and its output, with which an app can check itself, and
m.md, a model card: training, accuracy, licenses and limits.
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import tabulate

from mdepth_jax import cli
from mdepth_jax.export.calibration import RENDERED
from mdepth_jax.export.run import ExportOptions, ExportResult, export_run
from mdepth_jax.export.verification import find_worst_layers
from mdepth_jax.tflite.quantization import QUANTIZATIONS, Quantization


@dataclass(frozen=True, kw_only=True)
class Flags(ExportOptions):
    """Flags of the command line.

    Attributes:
        model: Network to export.
        output: Path of the `.tflite` file.
    """

    model: pathlib.Path
    output: pathlib.Path


def main(argv: Sequence[str] | None = None) -> int:
    """Exports a network and prints how accurate the file is; returns the exit status."""
    flags = parse(argv)
    report(export_run(flags.model, flags.output, flags), flags.quantize)
    return 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.convert", __doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory, .safetensors or 'embedded'")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file to write, m.tflite")
    parser.add_argument("--quantize", choices=QUANTIZATIONS, default="none")
    parser.add_argument("--height", type=int, default=0, help="of the image, a multiple of 32 (default: the run's)")
    parser.add_argument("--width", type=int, default=0, help="of the image, a multiple of 32 (default: the run's)")
    parser.add_argument("--calibration", type=pathlib.Path, help="folder of photographs (default: the run's own data)")
    parser.add_argument("--integer_io", action="store_true", help="with int8: input and output are uint8")
    parser.add_argument("--pairs", type=pathlib.Path, help="CSV of pairs in DIW's format, or prepared records")
    parser.add_argument("--images", type=pathlib.Path, help="folder of the CSV's paths (default: the CSV's own)")
    parser.add_argument("--layers", type=pathlib.Path, help="CSV to write the ranges and noise of all layers to")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


def report(result: ExportResult, quantize: Quantization) -> None:
    """Prints the result of an export."""
    paths, timing, verification = result.paths, result.timing, result.verification
    if verification.origin == RENDERED:
        print("compared on rendered scenes, as the run's own images are not here; --calibration FOLDER gives others")
    if quantize == "int8":
        print("layers that add most noise (noise: error relative to the deviation of the values; added: by that layer)")
        rows = [layer._asdict() for layer in find_worst_layers(result.layers)]
        print(tabulate.tabulate(rows, headers="keys", floatfmt=".3g"))
    print("\n".join(verification.describe()))
    print(f"{paths.model}: {timing.file_mb:.2f} MB, {timing.graph.partitions} partition(s) under XNNPACK")
    print(f"to check an app with: {paths.golden_image}, {paths.golden_depth}; model card: {paths.card}")


if __name__ == "__main__":
    cli.run(main)
