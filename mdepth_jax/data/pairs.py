"""Ordinal pairs: in the file format of Depth in the Wild (Chen et al. 2016), and drawn from depth maps.

The file has two lines per pair, the path of the image and the labels:

    images/0002.jpg
    464,131,420,512,<,640,480

The labels are `yA,xA,yB,xB,relation,width,height`: pixels from 1, y before x; `>` if A is farther than B, `<` if it is
nearer, `=` if both are equally far. An image with several pairs occurs several times.
"""

import math
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32

from mdepth_jax.data.images import read_bytes
from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path

RELATIONS = {">": 1, "<": -1, "=": 0}
NO_PAIRS = np.zeros((0, 2, 2), np.int32), np.zeros(0, np.int32)
_CANDIDATES = 64
_FIELDS = "yA,xA,yB,xB,relation,width,height"


class ImagePairs(NamedTuple):
    """Ordinal pairs of one image.

    Attributes:
        path: Path of the image relative to the data set's folder.
        points: 0-based pixels, as (A or B, y or x).
        relation: +1 if A is farther, -1 if A is nearer, 0 if both are equally far.
        size: (height, width) of the upright image; None if unknown.
        line: Line of the image's first labels in the file, from 1; 0 if there is no file.
    """

    path: str
    points: Int32[np.ndarray, "pairs 2 2"]
    relation: Int32[np.ndarray, "pairs"]
    size: tuple[int, int] | None
    line: int


class _Labels(NamedTuple):
    points: list[list[int]]
    relation: int
    size: tuple[int, int]


def _parse_labels(text: str) -> _Labels:
    """Parses a line of labels; raises ValueError with an explanation if it is invalid."""
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 7:
        raise ValueError(f"expected the 7 fields {_FIELDS} but found {text!r}; is a line missing?")
    relation = fields.pop(4)
    try:
        ya, xa, yb, xb, width, height = map(int, fields)
    except ValueError:
        raise ValueError(f"{_FIELDS} must be integers except for the relation, not {text!r}") from None
    if relation not in RELATIONS:
        raise ValueError(f"the relation must be one of < > =, not {relation!r}")
    for y, x in ((ya, xa), (yb, xb)):
        if not (1 <= y <= height and 1 <= x <= width):
            raise ValueError(
                f"point y={y} x={x} lies outside the image of height {height} and width {width};"
                f" points count from 1, in the order {_FIELDS}"
            )
    return _Labels([[ya - 1, xa - 1], [yb - 1, xb - 1]], RELATIONS[relation], (height, width))


def _looks_like_labels(text: str) -> bool:
    return text.count(",") >= 4


def _check_same_size(labels: _Labels, entries: Sequence[tuple[int, _Labels]]) -> None:
    if entries and entries[0][1].size != labels.size:
        line, (_, _, (height, width)) = entries[0]
        raise ValueError(
            f"the image is {labels.size[1]}x{labels.size[0]} here but {width}x{height} in line {line};"
            " correct one of them"
        )


def scan_pairs(csv: Path) -> tuple[list[ImagePairs], list[UserError]]:
    """Reads the valid entries of a file, and the errors of the others.

    Empty lines are skipped. After a missing line, reading resumes with the next entry.

    Returns:
        The images with their pairs, in the order of first appearance, and an error for each invalid entry.

    Raises:
        UserError: If the file is missing or is not text.
    """
    try:
        text = read_bytes(csv).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{csv}: not a text file; choose a CSV of pairs") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    images: dict[str, list[tuple[int, _Labels]]] = {}
    problems = []
    if not lines:
        problems.append(UserError(f"{csv}:1: the file holds no pairs; write an image path and {_FIELDS} per pair"))
    position = 0
    while position < len(lines):
        number, path = lines[position]
        if _looks_like_labels(path):
            problems.append(UserError(f"{csv}:{number}: labels {path!r} without the line of their image; add its path"))
            position += 1
            continue
        number, text = lines[position + 1] if position + 1 < len(lines) else (number, "the end of the file")
        position += 2 if _looks_like_labels(text) else 1
        try:
            labels = _parse_labels(text)
            entries = images.setdefault(posixpath.normpath(path), [])
            _check_same_size(labels, entries)
        except ValueError as error:
            problems.append(UserError(f"{csv}:{number}: {error}"))
        else:
            entries.append((number, labels))
    return [_group(path, entries) for path, entries in images.items()], problems


def _group(path: str, entries: Sequence[tuple[int, _Labels]]) -> ImagePairs:
    points = np.array([labels.points for _, labels in entries], np.int32)
    relation = np.array([labels.relation for _, labels in entries], np.int32)
    line, first = entries[0]
    return ImagePairs(path, points, relation, first.size, line)


def parse_pairs(csv: Path) -> list[ImagePairs]:
    """Reads a file in which all entries are valid, see `scan_pairs`.

    Raises:
        UserError: If an entry is invalid; the message starts with `file:line`.
    """
    images, problems = scan_pairs(csv)
    if problems:
        raise problems[0]
    return images


def chance_margin(pairs: int) -> float:
    """Returns the difference of right and wrong pairs that guesses exceed in one of forty cases (normal)."""
    return 1.96 * math.sqrt(pairs)


def write_pairs(csv: Path, images: Iterable[ImagePairs]) -> None:
    """Writes a file that `parse_pairs` reads; raises ValueError if an image has no size."""
    symbols = {sign: symbol for symbol, sign in RELATIONS.items()}
    with atomic_path(csv) as temporary, temporary.open("w", encoding="utf-8") as file:
        for image in images:
            if image.size is None:
                raise ValueError(f"{image.path} has no size")
            height, width = image.size
            for ((ya, xa), (yb, xb)), relation in zip(image.points + 1, image.relation, strict=True):
                file.write(f"{image.path}\n{ya},{xa},{yb},{xb},{symbols[int(relation)]},{width},{height}\n")


def draw_pairs(
    depth: Float[np.ndarray, "height width"], rng: np.random.Generator, count: int, min_ratio: float = 1.1
) -> tuple[Int32[np.ndarray, "pairs 2 2"], Int32[np.ndarray, "pairs"]]:
    """Draws pairs of points as in Depth in the Wild: half symmetric about the vertical center line, half free.

    Reference: Chen et al. 2016, "Single-Image Depth Perception in the Wild", Section 3.

    Args:
        depth: Positive depth, NaN where unknown; unknown pixels are not drawn.
        rng: Random generator.
        count: Number of pairs; if it is odd, the last pair belongs to either half at random.
        min_ratio: Ratio that the depths of a pair exceed.

    Returns:
        0-based points (A or B, y or x), and relations: +1 if A is farther, -1 if B is. A pair for which no candidate
        qualifies, as in a flat image, is left out.
    """
    height, width = depth.shape
    points = rng.integers((height, width), size=(_CANDIDATES, count, 2, 2), dtype=np.int32)
    symmetric = (np.arange(count) + rng.integers(2)) % 2 == 0
    points[:, symmetric, 1, 0] = points[:, symmetric, 0, 0]
    points[:, symmetric, 1, 1] = width - 1 - points[:, symmetric, 0, 1]
    values = depth[points[..., 0], points[..., 1]]
    valid = values.max(-1) > min_ratio * values.min(-1)
    chosen = valid.argmax(0), np.arange(count)
    found = valid[chosen]
    points, values = points[chosen][found], values[chosen][found]
    return points, np.where(values[:, 0] > values[:, 1], 1, -1).astype(np.int32)


def net_coordinates(
    points: Int32[np.ndarray, "*pairs 2"], image_size: tuple[int, int], net_size: tuple[int, int]
) -> Int32[np.ndarray, "*pairs 2"]:
    """Maps points from pixels of the image to pixels of the network's input.

    In 1-based pixels v of the image: floor(v / size * net_size), at least 1; then minus 1. This is the rule of the
    original `DataLoader_DIW.lua`, except that two points that fall on one pixel are not moved apart.

    Args:
        points: 0-based pixels (y, x) of the image.
        image_size: (height, width) of the image.
        net_size: (height, width) of the network's input.

    Returns:
        0-based pixels (y, x) of the network's input.
    """
    scaled = np.floor((points + 1) / np.array(image_size) * np.array(net_size))
    return (np.clip(scaled, 1, np.array(net_size)) - 1).astype(np.int32)


def ratio_relation(
    depth_a: Float[np.ndarray, "*pairs"], depth_b: Float[np.ndarray, "*pairs"], tau: float = 0.02
) -> Int32[np.ndarray, "*pairs"]:
    """Labels pairs by the ratio of their depths, as in ReDWeb (Xian et al. 2018).

    Args:
        depth_a: Depth of A in any unit, not negative, larger = farther; 0 is the nearest.
        depth_b: Depth of B in the same unit.
        tau: Share of the smaller depth by which the depths of a pair differ at least if they are not equal.

    Returns:
        +1 if A is farther, -1 if A is nearer, 0 if both are equal or either is NaN.
    """
    a, b = depth_a.astype(np.float64), depth_b.astype(np.float64)
    # The original divides, after adding 1e-11 to both depths; a product handles 0 without that.
    return (a >= (1 + tau) * b).astype(np.int32) - (b >= (1 + tau) * a).astype(np.int32)


def sample_ratio_pairs(
    depth: Float[np.ndarray, "height width"], rng: np.random.Generator, count: int = 3000, tau: float = 0.02
) -> tuple[Int32[np.ndarray, "pairs 2 2"], Int32[np.ndarray, "pairs"]]:
    """Draws pairs of pixels for training on ReDWeb (Section 4.1): both points anywhere, with replacement.

    Args:
        depth: Depth as in `ratio_relation`; NaN or infinite where unknown, which is never drawn.
        rng: Random generator.
        count: Number of pairs.
        tau: Threshold as in `ratio_relation`.

    Returns:
        0-based points (A or B, y or x) and the relation of each pair; no pairs if no depth is known.
    """
    known = np.flatnonzero(np.isfinite(depth))
    chosen = known[rng.integers(known.size, size=(count, 2))] if known.size else np.empty((0, 2), np.intp)
    points = np.stack(np.unravel_index(chosen, depth.shape), axis=-1).astype(np.int32)
    depth_a, depth_b = depth.ravel()[chosen].T
    return points, ratio_relation(depth_a, depth_b, tau)
