"""Draws networks next to each other, or the worst mistakes of a network. In color maps near is bright.

    python -m mdepth_jax.gallery photographs IMAGE|FOLDER|'GLOB'... --models RUN FILE.tflite ... --output FILE.png
    python -m mdepth_jax.gallery failures --model RUN --pairs FILE.csv [--images ROOT] --output FILE.png [--count 8]

`photographs` has a row for each image and a column for each network (Figure 3 of the paper). `failures` shows the
images whose worst pair is ordered most wrongly, relative to the range of their prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdepth_jax import cli, plots
from mdepth_jax.data.images import read_image, resize_map
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.inference.failures import find_failures
from mdepth_jax.inference.inputs import find_inputs
from mdepth_jax.inference.network import open_network
from mdepth_jax.inference.predictor import predict_pictures, prepare_picture


@dataclass(frozen=True, kw_only=True)
class PhotographsFlags:
    """Values of the command line of `photographs`; see `parse`."""

    inputs: Sequence[str]
    models: Sequence[Path]
    output: Path


@dataclass(frozen=True, kw_only=True)
class FailuresFlags:
    """Values of the command line of `failures`; see `parse`."""

    model: Path
    pairs: Path
    images: Path | None
    split: str
    count: int
    output: Path

    def __post_init__(self) -> None:
        if self.count <= 0:
            raise UserError(f"`count` is {self.count}; it must be positive")


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the picture; returns the exit status."""
    flags = parse(argv)
    if isinstance(flags, PhotographsFlags):
        draw_photographs(flags)
    else:
        draw_failures(flags)
    print(flags.output)
    return 0


def parse(argv: Sequence[str] | None) -> PhotographsFlags | FailuresFlags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.gallery", __doc__)
    commands = parser.add_subparsers(required=True, metavar="photographs|failures")
    photographs = commands.add_parser("photographs", allow_abbrev=False)
    photographs.add_argument("inputs", nargs="+", metavar="INPUT", help="image, folder or glob pattern")
    photographs.add_argument(
        "--models", type=Path, nargs="+", required=True, help="run directories, .safetensors, .tflite or 'embedded'"
    )
    photographs.set_defaults(flags=PhotographsFlags)
    failures = commands.add_parser("failures", allow_abbrev=False)
    failures.add_argument(
        "--model", type=Path, required=True, help="run directory, .safetensors, .tflite or 'embedded'"
    )
    failures.add_argument("--pairs", type=Path, required=True, help="CSV of pairs in DIW's format, or prepared records")
    failures.add_argument("--images", type=Path, help="folder of the CSV's paths (default: the CSV's own)")
    failures.add_argument("--split", default="test", help="split of prepared records (default: test)")
    failures.add_argument("--count", type=int, default=8, help="images to draw (default: 8)")
    failures.set_defaults(flags=FailuresFlags)
    for command in (photographs, failures):
        command.add_argument("--output", type=Path, required=True, help="PNG to write")
    return cli.parse(parser, argv)


def draw_photographs(flags: PhotographsFlags) -> None:
    """Draws every network's prediction of every image."""
    images = {name: read_image(path) for name, path in find_inputs(flags.inputs).items()}
    columns = {}
    for path in flags.models:
        predictor = open_network(path).predictor
        pictures = [prepare_picture(name, image, predictor) for name, image in images.items()]
        predictions = predict_pictures(predictor, pictures)
        columns[str(path)] = [resize_map(each.values, *each.picture.size) for each in predictions]
    plots.save_comparison(flags.output, list(images.values()), columns)


def draw_failures(flags: FailuresFlags) -> None:
    """Draws the images whose worst pair is ordered most wrongly.

    Raises:
        UserError: No pair is ordered wrongly, or there are none.
    """
    source = open_source(flags.pairs, flags.split, root=flags.images)
    failures = find_failures(open_network(flags.model).predictor, source, flags.count)
    if not failures:
        raise UserError(f"{flags.pairs}: no pair is ordered wrongly, so there is nothing to draw")
    plots.save_failures(flags.output, failures, [source[failure.image]["image"] for failure in failures])


if __name__ == "__main__":
    cli.run(main)
