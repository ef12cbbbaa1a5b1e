"""Reads and writes video files, with the optional package PyAV."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import UInt8

from mdepth_jax.errors import UserError

VIDEO_SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}


@dataclass(frozen=True, eq=False)
class Video:
    """A video.

    Attributes:
        frames: Frames in order, RGB, 0 to 255, upright.
        rate: Frames per second.
        length: Number of frames; 0 if the file does not state it.
    """

    frames: Iterator[UInt8[np.ndarray, "height width 3"]]
    rate: Fraction
    length: int


def open_video(path: Path) -> Video:
    """Opens a video file.

    Raises:
        UserError: If PyAV is not installed or the file is no video; while iterating over the frames, if the file is
            damaged.
    """
    av = _pyav()
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            rate, length = stream.average_rate or Fraction(25), stream.frames
    except (av.FFmpegError, IndexError) as error:
        raise UserError(f"{path}: not a video, or damaged ({error}); replace the file") from None
    return Video(_frames(av, path), rate, length)


def _frames(av: ModuleType, path: Path) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    count = 0
    try:
        with av.open(path) as container:
            for frame in container.decode(video=0):
                yield np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                count += 1
    except av.FFmpegError as error:
        raise UserError(f"{path}: damaged after frame {count} ({error}); replace the file") from None


class VideoWriter:
    """Writes an H.264 video, frame by frame.

    Args:
        path: Path of the file, ending in `.mp4`.
        rate: Frames per second.
        height: Height of the frames; the video leaves out the last row of an odd height, as H.264 requires.
        width: Width of the frames; the video leaves out the last column of an odd width.

    Raises:
        UserError: If PyAV is not installed.
    """

    def __init__(self, path: Path, rate: Fraction, height: int, width: int):
        self._av = _pyav()
        self._container = self._av.open(path, "w")
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": "18"})
        self._stream.height, self._stream.width = height // 2 * 2, width // 2 * 2
        self._stream.pix_fmt = "yuv420p"

    def write(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Adds a frame."""
        even = np.ascontiguousarray(frame[: self._stream.height, : self._stream.width])
        self._container.mux(self._stream.encode(self._av.VideoFrame.from_ndarray(even, format="rgb24")))

    def close(self) -> None:
        """Finishes the file."""
        self._container.mux(self._stream.encode())
        self._container.close()


def _pyav() -> ModuleType:
    try:
        import av
    except ImportError:
        raise UserError("videos need the package PyAV: pip install 'mdepth_jax[video]'") from None
    return av
