"""Metrics on ordinal pairs of points: WHDR, its confidence interval and a baseline."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike


def whdr(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    image_size: Int[Array, "batch 2"],
    valid: Bool[Array, "batch pairs"] | None = None,
    *,
    threshold: float = 0.0,
) -> Float[Array, ""]:
    """Computes the weighted human disagreement rate with weights 1: the share of wrongly ordered pairs (Sec. 4.1).

    Args:
        depth: Relative depth, larger = farther, at any size.
        points: Pixels of the original images, from 0, as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        image_size: (height, width) of the original images, which may differ.
        valid: Mask of the pairs that count, False for padding; all True if None.
        threshold: Largest difference that counts as equal, in the unit of `depth`; see `wrong_pairs`.

    Returns:
        The rate in float32, 0 to 1; 0 where there is no valid pair.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import whdr
        >>> depth = jnp.float32([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
        >>> points = jnp.int32([[[[1, 1], [0, 0]], [[0, 1], [0, 0]]]])
        >>> relation = jnp.int32([[1, -1]])  # The second point A is nearer, but its depth is larger.
        >>> print(f"{whdr(depth, points, relation, image_size=jnp.int32([[2, 2]])):.2f}")
        0.50

    References:
        Chen et al., "Single-Image Depth Perception in the Wild", NIPS 2016. Code: princeton-vl/YouTube3D, `valid.py`.
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
    """Counts the pairs that are ordered wrongly, see `wrong_pairs`, and all pairs, so that batches add up exactly.

    Args:
        depth: Relative depth, larger = farther, at any size.
        points: Pixels of the original images, from 0, as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        image_size: (height, width) of the original images, which may differ.
        valid: Mask of the pairs that count, False for padding; all True if None.
        threshold: Largest difference that counts as equal, in the unit of `depth`.

    Returns:
        The numbers of wrong and of all valid pairs.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import whdr_counts
        >>> depth = jnp.float32([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
        >>> points = jnp.int32([[[[1, 1], [0, 0]], [[0, 1], [0, 0]]]])
        >>> wrong, total = whdr_counts(depth, points, jnp.int32([[1, -1]]), image_size=jnp.int32([[2, 2]]))
        >>> int(wrong), int(total)
        (1, 2)
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    return jnp.sum(wrong_pairs(depth, points, relation, image_size, valid, threshold=threshold)), jnp.sum(valid)


def wrong_pairs(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    image_size: Int[Array, "batch 2"],
    valid: Bool[Array, "batch pairs"] | None = None,
    *,
    threshold: float = 0.0,
) -> Bool[Array, "batch pairs"]:
    """Finds the pairs that are ordered wrongly.

    The rule is that of DIW's test code (Chen et al. 2016): depth is resized bilinearly (half-pixel centers) to the size
    of the original image and read at the points. A pair with relation +1 or -1 is correct if the difference
    `z[A] - z[B]` has that sign and exceeds `threshold` in size, so that a tie is wrong; one with relation 0 is correct
    if the difference does not exceed it. Depth that is NaN is wrong.

    Args:
        depth: Relative depth, larger = farther, at any size.
        points: Pixels of the original images, from 0, as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        image_size: (height, width) of the original images, which may differ.
        valid: Mask of the pairs that count, False for padding; all True if None.
        threshold: Largest difference that counts as equal, in the unit of `depth`.

    Returns:
        True for each valid pair that is wrong.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import wrong_pairs
        >>> depth = jnp.float32([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
        >>> points = jnp.int32([[[[1, 1], [0, 0]], [[0, 1], [0, 0]]]])
        >>> wrong_pairs(depth, points, jnp.int32([[1, -1]]), image_size=jnp.int32([[2, 2]])).tolist()
        [[False, True]]
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    at_points = jax.vmap(_sample_resized)(depth[..., 0], points.astype(jnp.int32), image_size.astype(jnp.int32))
    difference = at_points[..., 0] - at_points[..., 1]
    ordered = relation.astype(difference.dtype) * difference > threshold
    correct = jnp.where(relation == 0, jnp.abs(difference) <= threshold, ordered)
    return valid & ~correct


def whdr_interval(wrong: ArrayLike, pairs: ArrayLike, *, samples: int = 1000, seed: int = 0) -> float:
    """Computes half of the 95 % confidence interval of a WHDR by the bootstrap over images.

    Pairs of one image are not independent: whole images are drawn again with replacement, as many as there are, and
    the interval holds the middle 95 % of the rates of `samples` such sets. It covers the choice of the images and
    their pairs, not the seed of the training.

    Args:
        wrong: Number of wrong pairs of each image, `[images]`.
        pairs: Number of pairs of each image, `[images]`; images without pairs do not count.
        samples: Number of sets that are drawn.
        seed: Seed of the draws.

    Returns:
        Half of the width of the interval, in the unit of the rate; NaN for fewer than two images, which say nothing
        about others.

    Example:
        >>> from mdepth_jax.metrics import whdr_interval
        >>> f"{whdr_interval([1, 0, 0, 1] * 50, pairs=[2] * 200):.3f}"
        '0.035'

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13.
    """
    wrong, pairs = (np.asarray(counts, np.int64) for counts in (wrong, pairs))
    wrong, pairs = wrong[pairs > 0], pairs[pairs > 0]
    if len(pairs) < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(pairs), size=len(pairs)) for _ in range(samples))
    low, high = np.quantile([wrong[drawn].sum() / pairs[drawn].sum() for drawn in draws], [0.025, 0.975])
    return float(high - low) / 2


def row_baseline_wrong(
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"] | None = None,
) -> Float[Array, ""]:
    """Counts the pairs that image rows alone order wrongly: the best single cue in natural images.

    The baseline calls the point that is higher up in the image the farther one. For two points in one row it guesses:
    half wrong.

    Args:
        points: Pixels of the original images as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        valid: Mask of the pairs that count, False for padding; all True if None.

    Returns:
        The number of wrong pairs in float32, in halves.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import row_baseline_wrong
        >>> points = jnp.int32([[[[0, 4], [9, 4]], [[5, 0], [5, 8]]]])  # A above B; both in row 5
        >>> print(row_baseline_wrong(points, relation=jnp.int32([[1, 1]])))
        0.5
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    guess = jnp.sign(points[..., 1, 0] - points[..., 0, 0])
    wrong = jnp.where(guess == 0, 0.5, (guess != relation).astype(jnp.float32))
    return jnp.sum(jnp.where(valid, wrong, 0.0))


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
    # In this form two equal values interpolate to exactly that value, so that ties stay ties.
    return start + (end - start) * fraction
