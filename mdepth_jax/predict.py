"""Predicts relative depth for images and videos: larger = farther, no unit; in color maps near is bright.

    python -m mdepth_jax.predict --model RUN|FILE.safetensors|FILE.tflite IMAGE|FOLDER|'GLOB'|VIDEO... --output DIR

Writes a color map of each image, or the kinds of files that --color, --side_by_side, --raw16, --npy and --ply select,
at the image's own size. The 16-bit maps can serve as a teacher of another run: --output DATA/teacher --raw16, then
train with --config.teacher.maps=True; OUTPUT/depth.json explains their codes. For a video, --color and --side_by_side
write videos, the others a folder with a file for each frame. Files that cannot be read are listed at the end.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdepth_jax import cli
from mdepth_jax.inference.depth_files import KINDS, DepthWriter, Kind
from mdepth_jax.inference.inputs import find_inputs
from mdepth_jax.inference.network import open_network
from mdepth_jax.inference.pipeline import check_output, predict_files


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Values of the command line; see `parse`."""

    inputs: Sequence[str]
    model: Path
    output: Path
    color: bool
    side_by_side: bool
    raw16: bool
    npy: bool
    ply: bool
    fov: float | None
    scale: float
    offset: float
    height: int | None
    width: int | None
    batch_size: int | None

    @property
    def kinds(self) -> list[Kind]:
        """Kinds of files to write."""
        return [kind for kind in KINDS if getattr(self, kind)] or ["color"]


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the predictions; returns the exit status, 1 if any file could not be read."""
    flags = parse(argv)
    inputs = find_inputs(flags.inputs)
    network = open_network(flags.model, height=flags.height, width=flags.width, batch_size=flags.batch_size)
    writer = DepthWriter(
        output=flags.output,
        kinds=flags.kinds,
        meaning=network.info.meaning,
        log=network.info.log,
        scale=flags.scale,
        offset=flags.offset,
        fov=flags.fov,
    )
    check_output(writer, inputs, [path for path in map(Path, flags.inputs) if path.is_dir()])
    writer.write_description(str(flags.model))
    predictor = network.predictor  # compiled before the clock starts
    start = time.perf_counter()
    outcome = predict_files(predictor, writer, inputs)
    count, seconds = len(outcome.ranges), time.perf_counter() - start
    size = f"{predictor.width}x{predictor.height}"
    print(f"{count} predictions at {size} in {flags.output}, {count / seconds:.1f} a second, files included")
    for note in writer.notes(outcome.ranges):
        print(f"note: {cli.spell_flags(note)}")
    if outcome.failures:
        print(*map(cli.spell_flags, outcome.failures), sep="\n", file=sys.stderr)
        print(f"{len(outcome.failures)} of {len(inputs)} files could not be read", file=sys.stderr)
    return 1 if outcome.failures else 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.predict", __doc__)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image, folder, glob pattern or video")
    parser.add_argument("--model", type=Path, required=True, help="run directory, .safetensors, .tflite or 'embedded'")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--color", action="store_true", help="NAME_color.png (the default)")
    parser.add_argument("--side_by_side", action="store_true", help="NAME_side_by_side.jpg: image and color map")
    parser.add_argument("--raw16", action="store_true", help="NAME.png: 16-bit gray, 0 = unknown")
    parser.add_argument("--npy", action="store_true", help="NAME.npy: float32 [height, width]")
    parser.add_argument("--ply", action="store_true", help="NAME.ply: a point cloud; needs --fov")
    parser.add_argument("--fov", type=float, help="horizontal field of view of the camera in degrees, such as 65")
    parser.add_argument("--scale", type=float, default=0.001, help="depth of one 16-bit step (default: 0.001)")
    parser.add_argument("--offset", type=float, default=0.0, help="added to depth in 16-bit maps and point clouds")
    parser.add_argument("--height", type=int, help="height of the network's input (default: as in training)")
    parser.add_argument("--width", type=int, help="width of the network's input (default: as in training)")
    parser.add_argument("--batch_size", type=int, help="images at a time (default: 8, on a CPU 1)")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


if __name__ == "__main__":
    cli.run(main)
