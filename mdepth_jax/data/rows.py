"""Conversion of an example to its row of a batch: view, augmentation, resampling, padding."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data import augment
from mdepth_jax.data.crops import EIGEN_CROP, EIGEN_SIZE, Crop
from mdepth_jax.data.images import resize_image, resize_map, warp_image, warp_map
from mdepth_jax.data.pairs import NO_PAIRS, net_coordinates, sample_ratio_pairs
from mdepth_jax.data.types import MAP_KEYS, Example, MapKey
from mdepth_jax.errors import UserError

Row = dict[str, np.ndarray]


@dataclass(frozen=True)
class BatchSpec:
    """Specification of a batch and of the augmentation in training.

    Attributes:
        height: Height of the network's input in pixels.
        width: Width of the network's input in pixels.
        batch_size: Number of images of a batch over all hosts.
        pairs: Number of pairs of each image; None for the largest number that an image of the source has. Fewer are
            padded. If an image has more, training draws some at random for each use, and evaluation refuses.
        sampled_pairs: Number of pairs, if positive, that training draws from the depth map for each use of the image,
            after augmentation and at the network's size, in place of the labeled ones.
        scale: Upper limit of the factor, uniform in [1, scale], by which training enlarges images; both maps are
            divided by it, because what looks larger is nearer.
        rotation: Largest angle in degrees by which training turns images.
        crop: Part of the network's aspect that training cuts out (see `augment.draw_view`); with either crop,
            evaluation reads the middle of the image alone.
        flip: Whether training mirrors images with probability 1/2.
        jitter: Strength of the color jitter in training, from 0 (off) to 1.
        depth: Whether batches hold the depth map.
        teacher_depth: Whether batches hold the teacher's map.
        teacher_inverted: Whether the teacher's map is larger where the image is nearer, such as disparity; it is
            negated, after the logarithm if there is one, and multiplied where depth is divided.
        log: Factor of the natural logarithm of both maps, where depth that is not positive becomes unknown; 0 for the
            maps without logarithm. A teacher's map of relative depth stays as it is: it has neither logarithm nor zoom.
    """

    height: int = 224
    width: int = 448
    batch_size: int = 4
    pairs: int | None = None
    sampled_pairs: int = 0
    scale: float = 1.0
    rotation: float = 0.0
    crop: augment.CropMode = "none"
    flip: bool = False
    jitter: float = 0.0
    depth: bool = False
    teacher_depth: bool = False
    teacher_inverted: bool = False
    log: float = 0.0


def train_row(example: Example, spec: BatchSpec, pairs: int, rng: np.random.Generator) -> Row:
    """Builds a row of a training batch.

    Args:
        example: Example at the image's own size.
        spec: Specification of the batch.
        pairs: Number of pairs of every row.
        rng: Random generator of the augmentation and of the drawn pairs.
    """
    net = _augment(example, spec, pairs, rng)
    if spec.flip:
        net = augment.flip(net, rng)
    if spec.jitter:
        net["image"] = augment.jitter(net["image"], rng, spec.jitter)
    if spec.sampled_pairs:
        net["points"], net["relation"] = sample_ratio_pairs(net["depth"], rng, spec.sampled_pairs)
    return _pad(net, example["image"].shape[:2], spec, pairs)


def eval_row(example: Example, spec: BatchSpec, pairs: int) -> Row:
    """Builds a row of an evaluation batch: without augmentation, any crop from the middle; see `train_row`."""
    return _pad(*_view_for_evaluation(example, spec), spec, pairs)


def filling_row(spec: BatchSpec, pairs: int) -> Row:
    """Builds a black row without valid pairs."""
    blank = Example(
        image=np.zeros((spec.height, spec.width, 3), np.uint8),
        points=NO_PAIRS[0],
        relation=NO_PAIRS[1],
    )
    return _pad(_resample(blank, spec), (spec.height, spec.width), spec, pairs)


def visible_depth(
    depth: Float32[np.ndarray, "height width"], spec: BatchSpec, crop: Crop | None
) -> Float32[np.ndarray, "visible_height visible_width"]:
    """Returns the part of a map that the network sees in evaluation.

    Args:
        depth: Depth map at its own size, NaN where unknown.
        spec: Specification of the batch.
        crop: Rows and columns to evaluate; the map becomes unknown outside. None for all.

    Raises:
        UserError: If the crop is `EIGEN_CROP` and the map has another size than it is for.
    """
    if crop is not None:
        if crop == EIGEN_CROP and depth.shape != EIGEN_SIZE:
            raise UserError(
                f"a depth map is {depth.shape[1]}x{depth.shape[0]}, the crop is for 640x480; leave the crop out:"
                " `config.data.eval_crop=none` in training, no `crop` in evaluate"
            )
        inside = np.full_like(depth, np.nan)
        inside[crop] = depth[crop]
        depth = inside
    if spec.crop == "none":
        return depth
    _, (top, left), (height, width) = augment.middle_view(depth.shape, (spec.height, spec.width))
    return depth[top : top + height, left : left + width]


def _draw_pairs(example: Example, pairs: int, rng: np.random.Generator) -> Example:
    total = len(example["relation"])
    if total <= pairs:
        return example
    chosen = rng.choice(total, pairs, replace=False)
    drawn = example.copy()
    drawn["points"], drawn["relation"] = example["points"][chosen], example["relation"][chosen]
    return drawn


def _augment(example: Example, spec: BatchSpec, pairs: int, rng: np.random.Generator) -> Example:
    """Returns the example as the network sees it in training, with at most `pairs` pairs, before flip and colors."""
    image_size, net_size = example["image"].shape[:2], (spec.height, spec.width)
    if (spec.scale, spec.rotation, spec.crop) == (1, 0, "none"):
        net = _resample(_draw_pairs(example, pairs, rng), spec)
        net["points"] = net_coordinates(net["points"], image_size, net_size)
        return net
    view = augment.draw_view(image_size, net_size, rng, scale=spec.scale, rotation=spec.rotation, crop=spec.crop)
    points, inside = augment.move_points(example["points"], view, image_size, net_size)
    seen = example.copy()
    seen["points"], seen["relation"] = points[inside], example["relation"][inside]
    return _resample(_draw_pairs(seen, pairs, rng), spec, view)


def _view_for_evaluation(example: Example, spec: BatchSpec) -> tuple[Example, tuple[int, int]]:
    """Returns the example as the network sees it in evaluation, and the size of the visible part of the image."""
    image_size = example["image"].shape[:2]
    if spec.crop == "none":
        return _resample(example, spec), image_size
    view, start, size = augment.middle_view(image_size, (spec.height, spec.width))
    points = example["points"] - start
    inside = ((points >= 0) & (points < size)).all(axis=(-2, -1))
    seen = example.copy()
    seen["points"], seen["relation"] = points[inside], example["relation"][inside]
    return _resample(seen, spec, view), (int(size[0]), int(size[1]))


def _resample(example: Example, spec: BatchSpec, view: augment.View | None = None) -> Example:
    """Resamples the image and the wanted maps to the network's size; a missing map is unknown everywhere."""
    size = spec.height, spec.width
    image = example["image"]
    resampled = Example(
        image=resize_image(image, *size) if view is None else warp_image(image, view.matrix, *size),
        points=example["points"],
        relation=example["relation"],
    )
    for key in MAP_KEYS:
        if getattr(spec, key) or (key == "depth" and spec.sampled_pairs):
            known = example[key] if key in example else np.full((1, 1), np.nan, np.float32)
            if view is None:
                resampled[key] = resize_map(known, *size)
            else:
                resampled[key] = warp_map(known, view.matrix, *size)
                if not _is_relative(key, example):
                    resampled[key] /= np.float32(1 / view.zoom if _is_inverted(key, spec) else view.zoom)
    if _is_relative("teacher_depth", example):
        resampled["teacher_relative"] = True
    return resampled


def _is_inverted(key: MapKey, spec: BatchSpec) -> bool:
    return key == "teacher_depth" and spec.teacher_inverted


def _is_relative(key: MapKey, example: Example) -> bool:
    return key == "teacher_depth" and example.get("teacher_relative", False)


def _logarithm(values: Float32[np.ndarray, "height width"], factor: float) -> Float32[np.ndarray, "height width"]:
    return np.float32(factor) * np.log(np.where(values > 0, values, np.float32(np.nan)))


def _pad(example: Example, image_size: tuple[int, int], spec: BatchSpec, pairs: int) -> dict[str, np.ndarray]:
    missing = pairs - len(example["relation"])
    row = {
        "image": example["image"],
        "points": np.pad(example["points"], ((0, missing), (0, 0), (0, 0))),
        "relation": np.pad(example["relation"], (0, missing)),
        "valid": np.arange(pairs) < pairs - missing,
        "image_size": np.array(image_size, np.int32),
    }
    for key in MAP_KEYS:
        if getattr(spec, key):
            is_log = spec.log and not _is_relative(key, example)
            values = _logarithm(example[key], spec.log) if is_log else example[key]
            values = -values if _is_inverted(key, spec) else values
            row[key] = values[..., np.newaxis]
    return row
