"""Images with a depth map each: loading, checks, and ordinal pairs drawn from the maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from mdepth_jax.data.images import read_bytes, read_image, read_map
from mdepth_jax.data.pairs import NO_PAIRS, draw_pairs
from mdepth_jax.data.types import MapKey, RawExample
from mdepth_jax.errors import UserError


class Frame(NamedTuple):
    """An encoded image and its encoded depth map.

    Attributes:
        name: Path of the image in the data set.
        image: Encoded image.
        depth: Encoded gray map, larger = farther, 0 = unknown.
    """

    name: str
    image: bytes
    depth: bytes


class FrameFiles(NamedTuple):
    """The two files of a frame.

    Attributes:
        root: Folder of the data set.
        name: Path of the image relative to `root`.
        depth: Path of the depth map.
    """

    root: Path
    name: str
    depth: Path


@dataclass(frozen=True)
class PairDrawing:
    """Rule by which ordinal pairs are drawn from a depth map: a pure function of the seed and the image's name.

    Attributes:
        pairs_per_image: Number of pairs of an image; an image with too little known or varied depth has fewer.
        min_ratio: Ratio by which the depths of a pair differ at least.
        seed: Seed of the random generator.
    """

    pairs_per_image: int
    min_ratio: float = 1.1
    seed: int = 0

    def draw(
        self, depth: Float32[np.ndarray, "height width"], name: str
    ) -> tuple[Int32[np.ndarray, "pairs 2 2"], Int32[np.ndarray, "pairs"]]:
        """Draws points and relations by `pairs.draw_pairs`; depth that is not positive is unknown."""
        rng = np.random.default_rng([self.seed, *name.encode()])
        return draw_pairs(np.where(depth > 0, depth, np.float32(np.nan)), rng, self.pairs_per_image, self.min_ratio)


class DepthFrames:
    """Frames of a published data set; a `RawSplit`.

    Args:
        name: File or folder of the frames, for error messages.
        entries: Locations of the frames.
        load: Function from an entry to its frame, which may raise UserError.
        drawing: Rule by which pairs are drawn from the depth map; None for no pairs.
        crop: Rows and columns from which pairs are drawn.
        size: (height, width) of every frame; None for any.

    Attributes:
        max_pairs: Largest number of pairs of a frame.
        map_keys: Keys of the maps that frames have.
    """

    map_keys: tuple[MapKey, ...] = ("depth",)

    def __init__(
        self,
        name: str,
        entries: Sequence[Any],
        load: Callable[[Any], Frame],
        *,
        drawing: PairDrawing | None = None,
        crop: tuple[slice, slice] = (slice(None), slice(None)),
        size: tuple[int, int] | None = None,
    ):
        self.name, self.entries = name, entries
        self.max_pairs = drawing.pairs_per_image if drawing else 0
        self._load, self._drawing, self._crop, self._size = load, drawing, crop, size

    def __len__(self) -> int:
        return len(self.entries)

    def load_checked(self, index: int) -> RawExample:
        """Loads a frame, checks it and draws its pairs.

        Raises:
            UserError: If the image or the map is missing, damaged or of another size, or if the map holds a negative
                or non-finite value or no known one.
        """
        frame = self._load(self.entries[index])
        location = f"{self.name}: {frame.name}"
        image = read_image(frame.image, location)
        if self._size and image.shape[:2] != self._size:
            height, width = image.shape[:2]
            raise UserError(
                f"{location}: is {width}x{height}, not {self._size[1]}x{self._size[0]} as published;"
                " replace it by the published frame"
            )
        depth = read_map(frame.depth, f"{location}: depth map")
        _check_depth(depth, image.shape[:2], f"{location}: depth map")
        points, relation = NO_PAIRS
        if self._drawing:
            inside = np.zeros_like(depth)
            inside[self._crop] = depth[self._crop]
            points, relation = self._drawing.draw(inside, frame.name)
        return RawExample(
            name=frame.name,
            image=frame.image,
            points=points,
            relation=relation,
            depth=frame.depth,
            teacher_depth=b"",
        )


def _check_depth(depth: Float32[np.ndarray, "height width"], image_size: tuple[int, ...], name: str) -> None:
    if depth.shape != image_size:
        raise UserError(
            f"{name} is {depth.shape[1]}x{depth.shape[0]} but the image {image_size[1]}x{image_size[0]};"
            " replace the one that is wrong"
        )
    if not np.isfinite(depth).all():
        raise UserError(f"{name} holds values that are not finite; write 0 where depth is unknown")
    if depth.min() < 0:
        raise UserError(f"{name} holds negative values, down to {depth.min():g}; write 0 where depth is unknown")
    if not depth.any():
        raise UserError(f"{name} is 0 everywhere, so no depth is known; replace it or remove the frame")


def load_frame(files: FrameFiles) -> Frame:
    """Reads a frame from its two files.

    Raises:
        UserError: If a file is missing.
    """
    root, name, depth = files
    if not depth.is_file():
        raise UserError(f"{root / name}: has no depth map {depth}; add it or remove the image")
    return Frame(name, read_bytes(root / name), read_bytes(depth))
