"""Predicts relative depth for images and videos: larger = farther, no unit; in colours near is bright.

    python -m mdepth_jax.predict --model RUN|FILE.safetensors|FILE.tflite IMAGE|FOLDER|'GLOB'|VIDEO... --output DIR

Writes a colour map of each image, or whichever of --color, --side_by_side, --raw16, --npy and --ply are given, at the
image's own size. The 16-bit maps are a teacher's for another run: --output DATA/teacher --raw16, then train with
--config.teacher.maps=True; what their codes mean stands in OUTPUT/depth.json. Of a video, colours and side_by_side
become videos, the others a folder with a file for each frame. Files that cannot be read are listed at the end.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from mdepth_jax import cli
from mdepth_jax.data.images import read_image, resize_map
from mdepth_jax.errors import UserError
from mdepth_jax.inference.depth_files import KINDS, DepthWriter, Range
from mdepth_jax.inference.inputs import find_inputs
from mdepth_jax.inference.predictor import (
    Picture,
    Predictor,
    RunningLimits,
    in_threads,
    load_predictor,
    make_picture,
    predict_in_batches,
)
from mdepth_jax.inference.video import VIDEO_SUFFIXES, VideoWriter, open_video
from mdepth_jax.plots import depth_limits


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the predictions; returns the exit status, 1 if any file could not be read."""
    args = parse(argv)
    inputs = find_inputs(args.inputs)
    videos = {name: path for name, path in inputs.items() if path.suffix.lower() in VIDEO_SUFFIXES}
    images = {name: path for name, path in inputs.items() if name not in videos}
    predictor = load_predictor(args.model, height=args.height, width=args.width, batch_size=args.batch_size)
    kinds = [kind for kind in KINDS if getattr(args, kind)] or ["color"]
    writer = DepthWriter(args.output, kinds, predictor.meaning, predictor.log, args.scale, args.offset, args.fov or 0.0)
    check_output(args, writer, inputs)
    args.output.mkdir(parents=True, exist_ok=True)
    writer.write_about(str(args.model))
    failures: dict[str, UserError] = {}
    start = time.perf_counter()
    ranges = list(predict_images(predictor, writer, images, failures))
    for name, path in videos.items():
        try:
            ranges += predict_video(predictor, writer, name, path)
        except UserError as error:
            failures[name] = error
    seconds = time.perf_counter() - start
    size = f"{predictor.width}x{predictor.height}"
    print(f"{len(ranges)} predictions at {size} in {args.output}, {len(ranges) / seconds:.1f} a second, files included")
    for note in writer.notes(ranges):
        print(f"note: {note}")
    if failures:
        listed = (failures[name] for name in inputs if name in failures)
        print(*listed, f"{len(failures)} of {len(inputs)} files could not be read", sep="\n", file=sys.stderr)
    return 1 if failures else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image, folder, glob pattern or video")
    parser.add_argument("--model", type=Path, required=True, help="run, .safetensors, .tflite, or 'embedded'")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--color", action="store_true", help="NAME_color.png (the default)")
    parser.add_argument("--side_by_side", action="store_true", help="NAME_side_by_side.jpg: image and colours")
    parser.add_argument("--raw16", action="store_true", help="NAME.png: 16-bit grey, 0 = unknown")
    parser.add_argument("--npy", action="store_true", help="NAME.npy: float32 [height, width]")
    parser.add_argument("--ply", action="store_true", help="NAME.ply: a point cloud; needs --fov")
    parser.add_argument("--fov", type=float, help="horizontal field of view of the camera in degrees, 65 say")
    parser.add_argument("--scale", type=float, default=0.001, help="of the 16-bit codes (default: 0.001)")
    parser.add_argument("--offset", type=float, default=0.0, help="added to depth in 16-bit maps and point clouds")
    parser.add_argument("--height", type=int, help="of the network's input (default: as in training)")
    parser.add_argument("--width", type=int, help="of the network's input (default: as in training)")
    parser.add_argument("--batch_size", type=int, help="images at a time (default: 8, on a CPU 1)")
    args = parser.parse_args(argv)
    if args.ply and not (args.fov and 0 < args.fov < 180):
        parser.error("--ply needs --fov, more than 0 and less than 180 degrees")
    given = (args.scale, args.batch_size, args.height, args.width)
    if any(value is not None and value <= 0 for value in given):
        parser.error("--scale, --batch_size, --height and --width must be positive")
    return args


def check_output(args: argparse.Namespace, writer: DepthWriter, inputs: dict[str, Path]) -> None:
    """Refuses to write where the next run would read, or over an image."""
    for folder in filter(Path.is_dir, map(Path, args.inputs)):
        if args.output.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"--output {args.output}: lies in {folder}, where images are read; choose another place")
    written = {file.resolve() for name in inputs for file in writer.files(name)}
    for path in inputs.values():
        if path.resolve() in written:
            raise UserError(f"--output {args.output}: {path} would be written over; choose another place")


def predict_images(
    predictor: Predictor, writer: DepthWriter, images: dict[str, Path], failures: dict[str, UserError]
) -> Iterator[Range]:
    """Predicts image files; gives the range of depth of each, and collects the names of those that cannot be read."""

    def read(item: tuple[str, Path]) -> Picture | None:
        name, path = item
        try:
            return make_picture(name, read_image(path), predictor, keep=writer.needs_image)
        except UserError as error:
            failures[name] = error
            return None

    results = tqdm(in_threads(read, images.items()), total=len(images), unit="image", disable=None)
    pictures = (picture for picture in results if picture is not None)
    yield from in_threads(lambda pair: writer.write(*pair), predict_in_batches(predictor, pictures))


def predict_video(predictor: Predictor, writer: DepthWriter, name: str, path: Path) -> Iterator[Range]:
    """Predicts a video; gives the range of depth of each frame."""
    video = open_video(path)
    frames = enumerate(tqdm(video.frames, total=video.length, unit="frame", desc=name, disable=None))
    pictures = (
        make_picture(f"{name}/{number:06d}", frame, predictor, keep=writer.needs_image) for number, frame in frames
    )
    limits = RunningLimits()
    with contextlib.ExitStack() as stack:
        videos: dict[str, VideoWriter] = {}
        for picture, depth in predict_in_batches(predictor, pictures):
            values = resize_map(depth, *picture.size)
            for kind, frame in writer.paint(picture, values, limits.update(depth_limits(depth))).items():
                if kind not in videos:
                    file = VideoWriter(writer.video_path(name, kind), video.rate, *frame.shape[:2])
                    videos[kind] = stack.enter_context(contextlib.closing(file))
                videos[kind].write(frame)
            yield writer.write_numbers(picture, values)


if __name__ == "__main__":
    cli.run(main)
