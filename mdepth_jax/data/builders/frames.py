"""Images with a depth map each: lists of splits, the checks of a frame, and the pairs drawn from its map."""

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
    """An image and its depth map.

    Attributes:
        name: Path of the image in the data set.
        image: Encoded.
        depth: Encoded grey map, larger = farther, 0 = unknown.
    """

    name: str
    image: bytes
    depth: bytes


@dataclass(frozen=True)
class PairDrawing:
    """How pairs are drawn from depth maps: a pure function of the seed and the name of the image.

    Attributes:
        count: Pairs per image; an image without depth enough has fewer.
        min_ratio: The depths of a pair differ by more than this ratio.
        seed: Another seed gives other pairs.
    """

    count: int
    min_ratio: float = 1.1
    seed: int = 0

    def draw(
        self, depth: Float32[np.ndarray, "height width"], name: str
    ) -> tuple[Int32[np.ndarray, "pairs 2 2"], Int32[np.ndarray, "pairs"]]:
        """Points and relation as of `pairs.draw_pairs`; depth that is not positive is unknown."""
        rng = np.random.default_rng([self.seed, *name.encode()])
        return draw_pairs(np.where(depth > 0, depth, np.float32(np.nan)), rng, self.count, self.min_ratio)


class DepthFrames:
    """Frames of a published data set, each checked before it is written to records.

    Args:
        name: What errors name first: the file or folder that the frames come from.
        entries: Where the frames are.
        load: From an entry to its frame; raises UserError.
        drawing: How pairs are drawn; None for none.
        crop: The rows and columns that pairs are drawn from.
        size: (height, width) of every frame; None for any.

    Attributes:
        max_pairs: The largest number of pairs of one frame.
        map_keys: The maps that frames have.
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
        self.max_pairs = drawing.count if drawing else 0
        self._load, self._drawing, self._crop, self._size = load, drawing, crop, size

    def __len__(self) -> int:
        return len(self.entries)

    def checked(self, index: int) -> RawExample:
        """One frame with its pairs.

        Raises:
            UserError: The image or the map is missing, damaged or of another size, or the map holds a negative
                or infinite value or nothing that is known.
        """
        frame = self._load(self.entries[index])
        where = f"{self.name}: {frame.name}"
        image = read_image(frame.image, where)
        if self._size and image.shape[:2] != self._size:
            height, width = image.shape[:2]
            raise UserError(
                f"{where}: is {width}x{height}, not {self._size[1]}x{self._size[0]} as published; give that frame"
            )
        depth = read_map(frame.depth, f"{where}: depth map")
        _check_depth(depth, image.shape[:2], f"{where}: depth map")
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


def load_files(paths: tuple[Path, str, Path]) -> Frame:
    """Reads a frame from two files: (root of the data set, path of the image below it, path of the depth map).

    Raises:
        UserError: A file is missing.
    """
    root, name, depth = paths
    if not depth.is_file():
        raise UserError(f"{root / name}: has no depth map {depth}; add it or remove the image")
    return Frame(name, read_bytes(root / name), read_bytes(depth))
