"""Converts a network to TFLite, and proves on images that the file computes the same.

python -m mdepth_jax.convert --model RUN --output m.tflite                     float32, the size of the run's images
python -m mdepth_jax.convert --model RUN --output m.tflite --quantize float16 --height 256 --width 256
python -m mdepth_jax.convert --model RUN --output m.tflite --quantize int8 --calibration FOLDER --pairs FILE.csv

A file that does not come close enough is not written: float32 within 1e-4 of the range of the depth, float16 within
1e-3, int8 and dynamic with a rank correlation of 0.99; with --pairs all of them within half a point of WHDR. Beside
m.tflite stand m.golden.png and m.golden.f32, an input and its output, with which an app can check itself, and m.md, a
model card: training, accuracy, licenses and limits.
"""

import argparse
import pathlib
from collections.abc import Sequence

import numpy as np
import tabulate
from ml_collections import ConfigDict

from mdepth_jax import cli
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.export import calibration, verification
from mdepth_jax.export.calibration import Images
from mdepth_jax.export.metadata import describe, unfinished
from mdepth_jax.export.model_card import Timing, card
from mdepth_jax.export.proof import examine_layers, prove, worst
from mdepth_jax.files import write_csv, write_text
from mdepth_jax.models import load_weights
from mdepth_jax.tflite import quantization
from mdepth_jax.tflite.conversion import check_size, convert
from mdepth_jax.tflite.flatbuffer import add_metadata
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.tflite.quantization import LayerReport
from mdepth_jax.tflite.timing import benchmark_files, describe_setting
from mdepth_jax.training.run_directory import config_of_weights
from mdepth_jax.training.summary import describe_network

CALIBRATION_IMAGES, COMPARED_IMAGES, TIMED_ROUNDS = 100, 32, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the file and prints how close it comes to the network; returns the exit status."""
    args = parse(argv)
    weights = load_weights(args.model)
    model, trained = weights.model, config_of_weights(weights)
    config = trained.copy_and_resolve_references()
    config.data.height, config.data.width = args.height or config.data.height, args.width or config.data.width
    size = config.data.height, config.data.width
    check_size(*size)
    pairs = open_source(args.pairs, "test", root=args.images) if args.pairs else None
    if pairs is not None and not pairs.max_pairs:
        raise UserError(f"--pairs {args.pairs}: holds no ordinal pairs to compare on")
    with unfinished(args.output) as path:
        images, origin = find_images(args, config)
        content = convert(model, *size, args.quantize, images, integer_io=args.integer_io)
        metadata = describe(weights, config, args.quantize)
        path.write_bytes(add_metadata(content, metadata))
        compared = images[:: -(-len(images) // COMPARED_IMAGES)]
        layers = examine_layers(model, content, args.quantize, compared)
        tell_layers(layers, args)
        file = DepthInterpreter(path)
        proof = prove(args.quantize, model, file, compared, origin, layers, pairs, config)
        print("\n".join(proof.lines()))
        [row] = benchmark_files([path], threads=1, rounds=TIMED_ROUNDS)
        timing, network = Timing(row, describe_setting(TIMED_ROUNDS)), describe_network(model, *size)
        text = card(args.output.name, metadata, trained, weights.header, network, proof, timing)
        golden = verification.write_golden(args.output, compared[0], file(compared[0][np.newaxis]))
        write_text(args.output.with_suffix(".md"), text)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB, {file.partitions} part(s) under XNNPACK")
    print(f"to check an app with: {', '.join(map(str, golden))}; model card: {args.output.with_suffix('.md')}")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory, .safetensors or 'embedded'")
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


def find_images(args: argparse.Namespace, config: ConfigDict) -> tuple[Images, str]:
    """Images to calibrate with and to compare on: of the given folder, else of the run; rendered if int8 is not asked.

    Returns:
        The images, and where they come from.

    Raises:
        UserError: The folder has none, or the run's cannot be opened and int8 needs them.
    """
    size = config.data.height, config.data.width
    count = CALIBRATION_IMAGES if args.quantize == "int8" else COMPARED_IMAGES
    if args.calibration:
        return calibration.images_of_folder(args.calibration, *size, count), str(args.calibration)
    try:
        return calibration.images_of_run(config, *size, count), "of the training"
    except UserError as error:
        if args.quantize == "int8":
            raise UserError(f"int8 is calibrated on images, and those of the run cannot be opened ({error}); "
                            "give --calibration FOLDER") from None  # fmt: skip
        print("comparing on rendered scenes, as the run's own images are not here; --calibration FOLDER gives others")
        return calibration.rendered_images(*size, count), "rendered scenes"


def tell_layers(layers: Sequence[LayerReport], args: argparse.Namespace) -> None:
    """Writes all layers if asked, checks their ranges for float16, prints those of int8 that lose most.

    Raises:
        UserError: A layer overflows in float16.
    """
    if args.layers:
        write_csv(args.layers, (layer._asdict() for layer in layers))
    if args.quantize == "float16":
        quantization.check_float16_range(layers)
    elif args.quantize == "int8":
        print("layers that lose most (noise: error relative to the deviation of the values; added: by that layer)")
        print(tabulate.tabulate([layer._asdict() for layer in worst(layers)], headers="keys", floatfmt=".3g"))


if __name__ == "__main__":
    cli.run(main)
