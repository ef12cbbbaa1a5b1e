"""Augmentation of training examples: pure functions of the example and a random generator.

Off by default: the networks for Depth in the Wild are trained on images that are only resized. The paper (Section
4.1) trains on NYUv2 with `scale`, `rotation`, `jitter`, `flip` and `crop="center"` (with 1.5, 5 degrees and 0.4 in the
code of FastDepth, which it follows there); on the Mannequin Challenge with `rotation`, `flip` and `crop="random"`; on
ReDWeb with `jitter` too.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

from mdepth_jax.data.types import Example

CropMode = Literal["none", "center", "random"]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class View(NamedTuple):
    """Part of an image that the network sees, as one affine map.

    Attributes:
        matrix: Map from (x, y, 1) in the network's input, whose pixel i covers i to i + 1, to (x, y) in the image,
            from 0 to 1 over its width and height.
        zoom: Factor by which things look larger than without augmentation.
    """

    matrix: Float64[np.ndarray, "2 3"]
    zoom: float


def draw_view(
    image_size: tuple[int, int],
    net_size: tuple[int, int],
    rng: np.random.Generator,
    *,
    scale: float = 1.0,
    rotation: float = 0.0,
    crop: CropMode = "none",
) -> View:
    """Draws scale, rotation and crop, composed into one map so that the image is resampled once.

    Args:
        image_size: (height, width) of the image.
        net_size: (height, width) of the network's input.
        rng: Random generator.
        scale: Upper limit of the factor, uniform in [1, scale], by which the image is enlarged before the crop.
        rotation: Largest angle in degrees, in either direction, about the middle of the crop.
        crop: "none" stretches the image to the network's input; the others keep its aspect and cut out the largest
            part of the network's aspect, from the middle ("center") or from anywhere ("random").
    """
    image, net = np.array(image_size[::-1], float), np.array(net_size[::-1], float)
    zoom = rng.uniform(1, scale)
    angle = np.deg2rad(rng.uniform(-rotation, rotation))
    seen = (image if crop == "none" else net * np.min(image / net)) / zoom
    place = rng.uniform(size=2) if crop == "random" else 0.5
    return View(_view_matrix(seen / 2 + (image - seen) * place, seen, angle, image, net), float(zoom))


def middle_view(
    image_size: tuple[int, int], net_size: tuple[int, int]
) -> tuple[View, Int32[np.ndarray, "2"], Int32[np.ndarray, "2"]]:
    """Computes the crop "center" in whole pixels, for evaluation.

    Args:
        image_size: (height, width) of the image.
        net_size: (height, width) of the network's input.

    Returns:
        The view, its first pixel (y, x) in the image, 0-based, and its (height, width) in the image.
    """
    image, net = np.array(image_size), np.array(net_size)
    seen = np.maximum(np.round(net * np.min(image / net)), 1).astype(np.int32)
    start = ((image - seen) // 2).astype(np.int32)
    middle = (start + seen / 2)[::-1]
    return View(_view_matrix(middle, seen[::-1], 0.0, image[::-1], net[::-1]), 1.0), start, seen


def _view_matrix(
    middle: np.ndarray, seen: np.ndarray, angle: float, image: np.ndarray, net: np.ndarray
) -> Float64[np.ndarray, "2 3"]:
    """Computes the map of a view; all arguments as (x, y), `seen` is the size of the view before it is turned."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * (seen / net)
    return np.column_stack([linear, middle - linear @ (net / 2)]) / image[:, np.newaxis]


def move_points(
    points: Int32[np.ndarray, "pairs 2 2"], view: View, image_size: tuple[int, int], net_size: tuple[int, int]
) -> tuple[Int32[np.ndarray, "pairs 2 2"], Bool[np.ndarray, "pairs"]]:
    """Maps pairs from pixels of the image to the pixels of the network's input that show their centers.

    Args:
        points: 0-based pixels of the image, as (A or B, y or x).
        view: Part of the image that the network sees.
        image_size: (height, width) of the image.
        net_size: (height, width) of the network's input.

    Returns:
        0-based pixels of the network's input, and for each pair whether both points are inside.
    """
    fraction = (points[..., ::-1] + 0.5) / np.array(image_size[::-1])
    seen = (fraction - view.matrix[:, 2]) @ np.linalg.inv(view.matrix[:, :2]).T
    moved = np.floor(seen[..., ::-1]).astype(np.int32)
    inside = ((moved >= 0) & (moved < np.array(net_size))).all(axis=(-2, -1))
    return moved, inside


def flip(example: Example, rng: np.random.Generator) -> Example:
    """Mirrors an example left to right with probability 1/2; points follow their pixels."""
    if rng.random() < 0.5:
        return example
    mirrored = example.copy()
    for key in ("image", "depth", "teacher_depth"):
        if key in example:
            mirrored[key] = np.ascontiguousarray(example[key][:, ::-1])
    y, x = np.moveaxis(example["points"], -1, 0)
    mirrored["points"] = np.stack([y, np.int32(example["image"].shape[1] - 1) - x], axis=-1)
    return mirrored


def jitter(
    image: UInt8[np.ndarray, "height width 3"], rng: np.random.Generator, strength: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Changes brightness, contrast and saturation, in this order.

    Args:
        image: RGB image, 0 to 255.
        rng: Random generator of the three factors.
        strength: Half of the width of their range [1 - strength, 1 + strength].
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3).astype(np.float32)
    color = image.astype(np.float32) * brightness
    color = np.mean(color @ _LUMA) * (1 - contrast) + color * contrast
    color = (color @ _LUMA)[..., np.newaxis] * (1 - saturation) + color * saturation
    return np.clip(np.round(color), 0, 255).astype(np.uint8)
