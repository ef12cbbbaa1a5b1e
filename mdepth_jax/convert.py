"""Converts a network to TFLite, and proves on images that the file computes the same.

python -m mdepth_jax.convert --model RUN --output m.tflite                     float32, the size of the run's images
python -m mdepth_jax.convert --model RUN --output m.tflite --quantize float16 --height 256 --width 256
python -m mdepth_jax.convert --model RUN --output m.tflite --quantize int8 --calibration FOLDER --pairs FILE.csv

A file that does not come close enough is not written: float32 within 1e-4 of the range of the depth, float16 within
1e-3, int8 and dynamic with a rank correlation of 0.99; with --pairs all of them within half a point of WHDR. Beside
m.tflite stand m.golden.png and m.golden.f32, an input and its output, with which an app can check itself.
"""

import argparse
import csv
import pathlib
from collections.abc import Sequence

import numpy as np
import tabulate
from ml_collections import ConfigDict

from mdepth_jax import cli
from mdepth_jax.data.sources import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.measurement import measure
from mdepth_jax.models import DepthNet, load_weights
from mdepth_jax.tflite import calibration, quantization, verification
from mdepth_jax.tflite.calibration import Images
from mdepth_jax.tflite.conversion import check_size, convert
from mdepth_jax.tflite.export import describe, unfinished
from mdepth_jax.tflite.flatbuffer import add_metadata
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.training import config as configuration

CALIBRATION_IMAGES, COMPARED_IMAGES, NAMED_LAYERS = 100, 32, 5


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the file and prints how close it comes to the network; returns the exit status."""
    args = parse(argv)
    model, model_config, about = load_weights(args.model)
    config = configuration.of_weights(about, args.model)
    config.data.height, config.data.width = args.height or config.data.height, args.width or config.data.width
    size = config.data.height, config.data.width
    check_size(*size)
    with unfinished(args.output) as path:
        images = find_images(args, config)
        content = convert(model, *size, args.quantize, images, integer_io=args.integer_io)
        path.write_bytes(add_metadata(content, describe(args.model, model_config, config, about, args.quantize)))
        compared = images[:: -(-len(images) // COMPARED_IMAGES)]
        if args.quantize in ("float16", "int8"):
            report_layers(convert(model, *size), content, compared, args)
        file = DepthInterpreter(path)
        depth = file(np.stack(compared))
        agreement = verification.compare(verification.predict(model, compared), depth)
        print(
            f"{len(compared)} images of {size[0]}x{size[1]} (HxW): largest error {agreement.error:.1e} of the range of"
            f" the depth, rank correlation {agreement.spearman:.5f}"
        )
        verification.check(args.quantize, agreement)
        if args.pairs:
            compare_whdr(args, model, file, config)
        golden = verification.write_golden(args.output, compared[0], depth[:1])
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB, {file.partitions} part(s) under XNNPACK")
    print(f"to check an app with: {', '.join(map(str, golden))}")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory or .safetensors file")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file to write, m.tflite")
    parser.add_argument("--quantize", choices=quantization.KINDS, default="none")
    parser.add_argument("--height", type=int, default=0, help="of the image, a multiple of 32 (default: the run's)")
    parser.add_argument("--width", type=int, default=0, help="of the image, a multiple of 32 (default: the run's)")
    parser.add_argument("--calibration", type=pathlib.Path, help="folder of photographs (default: the run's own data)")
    parser.add_argument("--integer_io", action="store_true", help="with int8: input and output are uint8")
    parser.add_argument("--pairs", type=pathlib.Path, help="CSV of pairs in DIW's format, or prepared records")
    parser.add_argument("--images", type=pathlib.Path, help="folder of the CSV's paths (default: the CSV's own)")
    parser.add_argument("--layers", type=pathlib.Path, help="CSV to write the ranges and losses of all layers to")
    args = parser.parse_args(argv)
    if args.integer_io and args.quantize != "int8":
        parser.error("--integer_io goes with --quantize int8")
    if args.layers and args.quantize not in ("float16", "int8"):
        parser.error("--layers goes with --quantize float16 or int8")
    return args


def find_images(args: argparse.Namespace, config: ConfigDict) -> Images:
    """Images to calibrate with and to compare on: of the given folder, else of the run; rendered if int8 is not asked.

    Raises:
        UserError: The folder has none, or the run's cannot be opened and int8 needs them.
    """
    size = config.data.height, config.data.width
    count = CALIBRATION_IMAGES if args.quantize == "int8" else COMPARED_IMAGES
    if args.calibration:
        return calibration.images_of_folder(args.calibration, *size, count)
    try:
        return calibration.images_of_run(config, *size, count)
    except UserError as error:
        if args.quantize == "int8":
            raise UserError(f"int8 is calibrated on images, and those of the run cannot be opened ({error}); "
                            "give --calibration FOLDER") from None  # fmt: skip
        print("comparing on rendered scenes, as the run's own images are not here; --calibration FOLDER gives others")
        return calibration.rendered_images(*size, count)


def report_layers(reference: bytes, content: bytes, images: Images, args: argparse.Namespace) -> None:
    """Checks the ranges for float16; of int8 prints the layers that lose most; writes all layers if asked.

    Raises:
        UserError: A layer overflows in float16.
    """
    layers = quantization.report_layers(reference, content, images)
    if args.layers:
        with args.layers.open("w", newline="") as file:
            csv.writer(file).writerows([quantization.LayerReport._fields, *layers])
    if args.quantize == "float16":
        quantization.check_float16_range(layers)
    else:
        worst = sorted(layers, key=lambda layer: -layer.added)[:NAMED_LAYERS]
        print("layers that lose most (noise: error relative to the deviation of the values; added: by that layer)")
        print(tabulate.tabulate([layer._asdict() for layer in worst], headers="keys", floatfmt=".3g"))


def compare_whdr(args: argparse.Namespace, model: DepthNet, file: DepthInterpreter, config: ConfigDict) -> None:
    """Prints the WHDR of network and file on the given pairs.

    Raises:
        UserError: The file's is too much worse, or there are no pairs.
    """
    config.data.crop = "none"
    source = open_source(args.pairs, "test", root=args.images)
    if not source.max_pairs:
        raise UserError(f"--pairs {args.pairs}: holds no ordinal pairs to compare on")
    before, after = (measure(network, source, config, batch_size=8) for network in (model, file))
    print(f"WHDR on {before.total} pairs: {before.whdr:.4f} of the network, {after.whdr:.4f} of the file")
    verification.check_whdr(before.whdr, after.whdr)


if __name__ == "__main__":
    cli.run(main)
