"""Draws networks beside each other, and where a network is most wrong. In colours near is bright.

    python -m mdepth_jax.gallery photographs IMAGE|FOLDER|'GLOB'... --models RUN FILE.tflite ... --output FILE.png
    python -m mdepth_jax.gallery failures --model RUN --pairs FILE.csv [--images ROOT] --output FILE.png [--count 8]

`photographs` has a row for each image and a column for each network (Figure 3 of the paper). `failures` shows the
images whose worst pair is ordered most wrongly, relative to the range of their prediction.
"""

import argparse
import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32

from mdepth_jax import cli, plots
from mdepth_jax.data.images import read_image, resize_map
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.types import Source
from mdepth_jax.errors import UserError
from mdepth_jax.inference.inputs import find_inputs
from mdepth_jax.inference.predictor import (
    Picture,
    Predictor,
    in_threads,
    load_predictor,
    make_picture,
    predict_in_batches,
)
from mdepth_jax.plots import Failure


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the picture; returns the exit status."""
    args = parse(argv)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.draw(args)
    print(args.output)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.gallery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="photographs|failures")
    photographs = commands.add_parser("photographs")
    photographs.add_argument("inputs", nargs="+", metavar="INPUT", help="image, folder or glob pattern")
    photographs.add_argument(
        "--models", type=Path, nargs="+", required=True, help="runs, .safetensors or .tflite files"
    )
    photographs.set_defaults(draw=draw_photographs)
    failures = commands.add_parser("failures")
    failures.add_argument("--model", type=Path, required=True, help="run, .safetensors or .tflite file")
    failures.add_argument("--pairs", type=Path, required=True, help="CSV of pairs in DIW's format, or prepared records")
    failures.add_argument("--images", type=Path, help="folder of the CSV's paths (default: the CSV's own)")
    failures.add_argument("--split", default="test", help="of prepared records (default: test)")
    failures.add_argument("--count", type=int, default=8, help="images to draw (default: 8)")
    failures.set_defaults(draw=draw_failures)
    for command in (photographs, failures):
        command.add_argument("--output", type=Path, required=True, help="PNG to write")
    return parser.parse_args(argv)


def draw_photographs(args: argparse.Namespace) -> None:
    """Draws every network's prediction of every image."""
    images = {name: read_image(path) for name, path in find_inputs(args.inputs).items()}
    columns = {}
    for path in args.models:
        predictor = load_predictor(path)
        pictures = [make_picture(name, image, predictor, keep=False) for name, image in images.items()]
        predicted = predict_in_batches(predictor, pictures)
        columns[str(path)] = [resize_map(depth, *picture.size) for picture, depth in predicted]
    plots.save_comparison(args.output, list(images.values()), columns)


def draw_failures(args: argparse.Namespace) -> None:
    """Draws the images whose worst pair is the worst.

    Raises:
        UserError: No pair is ordered wrongly, or there are none.
    """
    source = open_source(args.pairs, args.split, root=args.images)
    predictor = load_predictor(args.model)
    failures = heapq.nlargest(args.count, find_failures(predictor, source), key=lambda failure: failure.error)
    if not failures:
        raise UserError(f"{args.pairs}: no pair is ordered wrongly, so there is nothing to draw")
    plots.save_failures(args.output, failures, [source[failure.image]["image"] for failure in failures])


def find_failures(predictor: Predictor, source: Source) -> Iterator[Failure]:
    """Gives the worst pair of every image that has a wrong one."""
    pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def read(index: int) -> Picture:
        example = source[index]
        pairs[index] = example["points"], example["relation"]
        return make_picture(str(index), example["image"], predictor, keep=False)

    pictures = in_threads(read, range(len(source)))
    for index, (picture, depth) in enumerate(predict_in_batches(predictor, pictures)):
        failure = worst_pair(index, resize_map(depth, *picture.size), *pairs.pop(index))
        if failure:
            yield failure


def worst_pair(
    index: int,
    depth: Float32[np.ndarray, "height width"],
    points: Int32[np.ndarray, "pairs 2 2"],
    relation: Int32[np.ndarray, "pairs"],
) -> Failure | None:
    """Finds the pair whose depths differ most in the wrong direction.

    Args:
        index: Of the image.
        depth: Larger = farther, at the size of the image.
        points: 0-based pixels as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.

    Returns:
        The pair; None if all are right. As in WHDR, a tie is wrong.
    """
    low, high = plots.depth_limits(depth)
    at_points = depth[points[..., 0], points[..., 1]]
    difference = (at_points[:, 0] - at_points[:, 1]) / max(high - low, 1e-6)
    errors = np.where(relation == 0, np.abs(difference), -relation * difference)
    wrong = np.where(relation == 0, errors > 0, errors >= 0)
    if not wrong.any():
        return None
    worst = int(np.argmax(np.where(wrong, errors, -1)))
    return Failure(index, float(errors[worst]), points[worst], int(relation[worst]), depth)


if __name__ == "__main__":
    cli.run(main)
