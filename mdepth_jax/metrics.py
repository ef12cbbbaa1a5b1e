"""Metrics of relative depth: WHDR on ordinal pairs; RMSE, delta1 and SI-RMSE on dense depth maps."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Map = Float[Array, "batch height width 1"]
Mask = Bool[Array, "batch height width 1"]

NYU_MEAN, NYU_DEVIATION = 2.8424594402, 0.6148231626  # Of the depth in metres, from the test code of DIW's authors.
DELTA1 = 1.25
SMALLEST_DEPTH = 1e-3  # What a prediction counts as at least where its logarithm is taken.
_PIXELS = (1, 2, 3)  # The axes of one image.


def whdr(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    image_size: Int[Array, "batch 2"],
    valid: Bool[Array, "batch pairs"] | None = None,
    *,
    threshold: float = 0.0,
) -> Float[Array, ""]:
    """Computes the weighted human disagreement rate with weights 1: the share of wrongly ordered pairs.

    Args:
        depth: As in `whdr_counts`, like the other arguments.
        points: 0-based pixels of the original images.
        relation: +1, -1 or 0.
        image_size: (height, width) of the original images.
        valid: False for padding.
        threshold: Largest difference that counts as equal.

    Returns:
        The rate, 0 to 1; 0 where there is no valid pair.
    """
    wrong, total = whdr_counts(depth, points, relation, image_size, valid, threshold=threshold)
    return wrong.astype(jnp.float32) / jnp.maximum(total, 1).astype(jnp.float32)


def whdr_counts(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    image_size: Int[Array, "batch 2"],
    valid: Bool[Array, "batch pairs"] | None = None,
    *,
    threshold: float = 0.0,
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Counts the pairs that are ordered wrongly, and all pairs, so that batches add up exactly.

    The rule is that of DIW's test code (Chen et al. 2016): depth is resized bilinearly to the size of the
    original image and read at the points. A pair with relation +1 or -1 is right if the difference has that
    sign and exceeds `threshold`, so a tie is wrong; one with relation 0 is right if the difference does not
    exceed it. Depth that is NaN is wrong.

    Args:
        depth: Relative depth, larger = farther, at any size.
        points: 0-based pixels of the original images as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        image_size: (height, width) of the original images, which may differ.
        valid: False for padding; all True if None.
        threshold: Largest difference that counts as equal, in the unit of `depth`.

    Returns:
        The numbers of wrong and of all valid pairs.
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    at_points = jax.vmap(_sample_resized)(depth[..., 0], points.astype(jnp.int32), image_size.astype(jnp.int32))
    difference = at_points[..., 0] - at_points[..., 1]
    ordered = relation.astype(difference.dtype) * difference > threshold
    right = jnp.where(relation == 0, jnp.abs(difference) <= threshold, ordered)
    return jnp.sum(valid & ~right), jnp.sum(valid)


def whdr_interval(rate: float, pairs: int) -> float:
    """Gives half of the 95 % confidence interval of a WHDR, in the normal approximation.

    It is about the choice of the pairs alone, not about what another seed of the training would give.

    Args:
        rate: The WHDR, 0 to 1.
        pairs: Number of pairs that it was measured on.
    """
    return 1.96 * math.sqrt(rate * (1 - rate) / pairs)


def row_baseline_wrong(
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"] | None = None,
) -> Float[Array, ""]:
    """Counts the pairs that image rows alone order wrongly: the best single cue of natural images.

    The baseline calls the point that is higher up in the image the farther one. In one row it guesses: half
    wrong.

    Args:
        points: As in `whdr_counts`, like the other arguments.
        relation: +1, -1 or 0.
        valid: False for padding.

    Returns:
        The number of wrong pairs, in halves.
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    guess = jnp.sign(points[..., 1, 0] - points[..., 0, 0])
    wrong = jnp.where(guess == 0, 0.5, (guess != relation).astype(jnp.float32))
    return jnp.sum(jnp.where(valid, wrong, 0.0))


class DenseSums(NamedTuple):
    """What the metrics of dense depth are made of, one entry for each image.

    The metrics are of all the images together. Joined by `concatenate`, in NumPy arrays, the entries of several batches
    are added up in double precision: the metrics of a set depend neither on its batches nor on the devices.

    Attributes:
        pixels: Number of valid pixels.
        squared_error: Sum of (prediction - target)^2 over them.
        within: Number of those whose prediction is within a factor of 1.25 of the target.
        scale_invariant_error: SI-RMSE of the image; 0 without a valid pixel.
    """

    pixels: Int[Array | np.ndarray, " images"]
    squared_error: Float[Array | np.ndarray, " images"]
    within: Int[Array | np.ndarray, " images"]
    scale_invariant_error: Float[Array | np.ndarray, " images"]

    @classmethod
    def concatenate(cls, parts: Iterable["DenseSums"]) -> "DenseSums":
        """Joins the entries of several batches, on the host."""
        return cls(*(np.concatenate(entries) for entries in zip(*parts, strict=True)))

    @property
    def rmse(self) -> Any:
        """Root of the mean squared error over all pixels of all images (Eigen et al. 2014)."""
        return _ratio(self.squared_error, self.pixels) ** 0.5

    @property
    def delta1(self) -> Any:
        """Share of all pixels of all images that are within the factor of 1.25."""
        return _ratio(self.within, self.pixels)

    @property
    def si_rmse(self) -> Any:
        """Mean of SI-RMSE over the images that have a valid pixel."""
        return _ratio(self.scale_invariant_error, self.pixels > 0)


def _ratio(total: Array | np.ndarray, count: Array | np.ndarray) -> Any:
    """Quotient of two sums; 0 if the second is 0. NumPy's `float` is double precision, JAX's is its default."""
    arrays = total.__array_namespace__()
    return arrays.sum(total, dtype=float) / arrays.maximum(arrays.sum(count, dtype=float), 1)


def dense_sums(prediction: Map, target: Map, valid: Mask | None = None) -> DenseSums:
    """Compares depth maps, image by image; images of different sizes may be padded with invalid pixels.

    A prediction that is not positive is wrong for delta1, and counts as 0.001 for SI-RMSE; one that is NaN is wrong
    for delta1 and makes the other metrics NaN.

    Args:
        prediction: Depth, larger = farther, in the unit of `target`.
        target: True depth.
        valid: Pixels that count; all if None. One whose target is not positive and finite never counts.

    Returns:
        The sums of every image, in at least float32.
    """
    dtype = np.promote_types(prediction.dtype, np.float32)
    is_known = jnp.isfinite(target) & (target > 0)
    valid = is_known if valid is None else valid & is_known
    prediction, target = (jnp.where(valid, depth.astype(dtype), 1) for depth in (prediction, target))
    is_within = (prediction < DELTA1 * target) & (target < DELTA1 * prediction)
    log_error = jnp.log(jnp.maximum(prediction, SMALLEST_DEPTH)) - jnp.log(target)
    return DenseSums(
        pixels=jnp.sum(valid, _PIXELS),
        squared_error=jnp.sum(jnp.square(prediction - target), _PIXELS),
        within=jnp.sum(valid & is_within, _PIXELS),
        scale_invariant_error=jnp.sqrt(2 * _variance(log_error, valid)),
    )


def _variance(error: Map, valid: Mask) -> Float[Array, " batch"]:
    count = jnp.maximum(jnp.sum(valid, _PIXELS, keepdims=True), 1).astype(error.dtype)
    mean = jnp.sum(error, _PIXELS, where=valid, keepdims=True) / count
    return jnp.sum(jnp.square(error - mean), _PIXELS, where=valid) / count[:, 0, 0, 0]


def rmse(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the root of the mean squared error over all valid pixels, in the unit of depth; see `dense_sums`."""
    return dense_sums(prediction, target, valid).rmse


def delta1(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the share of valid pixels with max(p / t, t / p) < 1.25; see `dense_sums`."""
    return dense_sums(prediction, target, valid).delta1


def si_rmse(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the scale-invariant error of log depth, averaged over images (Li et al. 2019); see `dense_sums`.

    Per image it is sqrt(2 var(log p - log t)), which no factor on the prediction changes. The original takes the root
    of a difference that rounding can turn negative; here the variance is 0 at least.
    """
    return dense_sums(prediction, target, valid).si_rmse


def align_to_nyu(depth: Map) -> Map:
    """Gives a relative prediction the mean and the deviation that depth has in NYUv2, image by image.

    This is how DIW's authors measure relative predictions in metres; the paper does not say how it does. A depth that
    comes out negative is replaced by the smallest positive one of its image plus 1e-5.

    Args:
        depth: Relative depth, larger = farther, in any unit.

    Returns:
        Depth in metres, positive or 0, in at least float32. A constant map, where the original divides by 0, becomes
        the mean.
    """
    depth = depth.astype(np.promote_types(depth.dtype, np.float32))
    centered = depth - jnp.mean(depth, _PIXELS, keepdims=True)
    variance = jnp.sum(jnp.square(centered), _PIXELS, keepdims=True) / max(depth[0].size - 1, 1)
    is_flat = jnp.max(depth, _PIXELS, keepdims=True) == jnp.min(depth, _PIXELS, keepdims=True)
    aligned = centered / jnp.sqrt(jnp.where(is_flat, 1, variance)) * NYU_DEVIATION + NYU_MEAN
    smallest = jnp.min(aligned, _PIXELS, keepdims=True, where=aligned > 0, initial=jnp.inf)
    return jnp.where(aligned < 0, smallest + 1e-5, aligned)


def _sample_resized(
    depth: Float[Array, "height width"], points: Int[Array, "pairs 2 2"], image_size: Int[Array, "2"]
) -> Float[Array, "pairs 2"]:
    """Reads `depth` at points of its bilinear resize (cv2's INTER_LINEAR: half-pixel centers)."""
    depth = depth.astype(np.promote_types(depth.dtype, np.float32))
    top, bottom, down = _neighbors(points[..., 0], depth.shape[0], image_size[0], depth.dtype)
    left, right, across = _neighbors(points[..., 1], depth.shape[1], image_size[1], depth.dtype)
    above = _interpolate(depth[top, left], depth[top, right], across)
    below = _interpolate(depth[bottom, left], depth[bottom, right], across)
    return _interpolate(above, below, down)


def _neighbors(
    coordinate: Int[Array, "pairs 2"], size: int, resized: Int[Array, ""], dtype: jnp.dtype
) -> tuple[Int[Array, "pairs 2"], Int[Array, "pairs 2"], Float[Array, "pairs 2"]]:
    # (coordinate + 1/2) * size / resized - 1/2 as a fraction of integers: exact where float32 would round.
    numerator = (2 * coordinate + 1) * size - resized
    denominator = 2 * resized
    lower = numerator // denominator
    fraction = (numerator % denominator).astype(dtype) / denominator.astype(dtype)
    return jnp.clip(lower, 0, size - 1), jnp.clip(lower + 1, 0, size - 1), fraction


def _interpolate(
    start: Float[Array, "pairs 2"], end: Float[Array, "pairs 2"], fraction: Float[Array, "pairs 2"]
) -> Float[Array, "pairs 2"]:
    # In this form equal neighbors give exactly their value, so that ties stay ties.
    return start + (end - start) * fraction
