"""Predicts image files and videos and writes the results; threads read and write while the network predicts."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from mdepth_jax.data.images import read_image, resize_map
from mdepth_jax.data.threads import map_in_threads
from mdepth_jax.errors import UserError
from mdepth_jax.inference.depth_files import DepthWriter
from mdepth_jax.inference.predictor import Picture, Predictor, predict_pictures, prepare_picture
from mdepth_jax.inference.video import VIDEO_SUFFIXES, VideoWriter, open_video
from mdepth_jax.plots import DepthRange, depth_limits


@dataclass(frozen=True)
class Outcome:
    """Outcome of `predict_files`.

    Attributes:
        ranges: Ranges of all depths that were written: one for each image and for each frame of a video.
        failures: Errors of the files that could not be read, in the order of the inputs.
    """

    ranges: list[DepthRange]
    failures: list[UserError]


@dataclass
class RunningLimits:
    """Range of the colors of a video, which follows its frames slowly so that nothing flickers.

    Attributes:
        memory: Share of the old limits in the new ones; 0.95 forgets within about 20 frames.
        limits: Current limits; None before the first frame, which sets them.
    """

    memory: float = 0.95
    limits: DepthRange | None = None

    def update(self, limits: DepthRange) -> DepthRange:
        """Updates the limits with those of the next frame.

        Returns:
            The limits to paint that frame with.
        """
        if self.limits is not None:
            limits = DepthRange(
                *(self.memory * old + (1 - self.memory) * new for old, new in zip(self.limits, limits, strict=True))
            )
        self.limits = limits
        return limits


def check_output(writer: DepthWriter, inputs: Mapping[str, Path], folders: list[Path]) -> None:
    """Checks that no input is overwritten, and that nothing is written where the next run would read.

    Args:
        writer: Writer of the output.
        inputs: Files to read, as `find_inputs` returns them.
        folders: Folders that are searched for images.

    Raises:
        UserError: If the output lies in one of the folders, or one of its files is an input.
    """
    for folder in folders:
        if writer.output.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"`output` is {writer.output}, inside {folder}, where images are read; choose another place"
            )
    written = {file.resolve() for name in inputs for file in writer.files(name)}
    for path in inputs.values():
        if path.resolve() in written:
            raise UserError(f"`output` is {writer.output}: {path} would be overwritten; choose another place")


def predict_files(predictor: Predictor, writer: DepthWriter, inputs: Mapping[str, Path]) -> Outcome:
    """Predicts images and videos and writes the results.

    Args:
        predictor: Program of the network.
        writer: Writer of the output.
        inputs: Files to read, as `find_inputs` returns them.
    """
    failures: dict[str, UserError] = {}
    videos = {name: path for name, path in inputs.items() if path.suffix.lower() in VIDEO_SUFFIXES}
    images = {name: path for name, path in inputs.items() if name not in videos}
    ranges = list(_predict_images(predictor, writer, images, failures))
    for name, path in videos.items():
        try:
            ranges += _predict_video(predictor, writer, name, path)
        except UserError as error:
            failures[name] = error
    return Outcome(ranges, [failures[name] for name in inputs if name in failures])


def _predict_images(
    predictor: Predictor, writer: DepthWriter, images: Mapping[str, Path], failures: dict[str, UserError]
) -> Iterator[DepthRange]:
    """Yields the range of depth of each image; adds an error to `failures` for each file that cannot be read."""

    def read(item: tuple[str, Path]) -> Picture | None:
        name, path = item
        try:
            return prepare_picture(name, read_image(path), predictor, keep=writer.needs_image)
        except UserError as error:
            failures[name] = error
            return None

    results = tqdm(map_in_threads(read, images.items()), total=len(images), unit="image", disable=None)
    pictures = (picture for picture in results if picture is not None)
    yield from map_in_threads(
        lambda prediction: writer.write(prediction.picture, prediction.values), predict_pictures(predictor, pictures)
    )


def _predict_video(predictor: Predictor, writer: DepthWriter, name: str, path: Path) -> Iterator[DepthRange]:
    """Yields the range of depth of each frame."""
    video = open_video(path)
    frames = enumerate(tqdm(video.frames, total=video.length, unit="frame", desc=name, disable=None))
    pictures = (
        prepare_picture(f"{name}/{number:06d}", frame, predictor, keep=writer.needs_image) for number, frame in frames
    )
    limits = RunningLimits()
    with contextlib.ExitStack() as stack:
        videos: dict[str, VideoWriter] = {}
        for prediction in predict_pictures(predictor, pictures):
            picture = prediction.picture
            values = resize_map(prediction.values, *picture.size)
            for kind, frame in writer.paint(picture, values, limits.update(depth_limits(prediction.values))).items():
                if kind not in videos:
                    file = VideoWriter(writer.video_path(name, kind), video.rate, *frame.shape[:2])
                    videos[kind] = stack.enter_context(contextlib.closing(file))
                videos[kind].write(frame)
            yield writer.write_numbers(picture, values)
