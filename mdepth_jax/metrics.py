"""Metrics of relative depth."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


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


def _sample_resized(
    depth: Float[Array, "height width"], points: Int[Array, "pairs 2 2"], image_size: Int[Array, "2"]
) -> Float[Array, "pairs 2"]:
    """Reads `depth` at points of its bilinear resize (cv2's INTER_LINEAR: half-pixel centres)."""
    depth = depth.astype(np.promote_types(depth.dtype, np.float32))
    top, bottom, down = _neighbours(points[..., 0], depth.shape[0], image_size[0], depth.dtype)
    left, right, across = _neighbours(points[..., 1], depth.shape[1], image_size[1], depth.dtype)
    above = _interpolate(depth[top, left], depth[top, right], across)
    below = _interpolate(depth[bottom, left], depth[bottom, right], across)
    return _interpolate(above, below, down)


def _neighbours(
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
    # In this form equal neighbours give exactly their value, so that ties stay ties.
    return start + (end - start) * fraction
