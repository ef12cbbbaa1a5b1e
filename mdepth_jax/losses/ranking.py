"""Losses on ordinal pairs of pixels."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


def ranking_loss(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"] | None = None,
) -> Float[Array, ""]:
    """Computes the ranking loss of ordinal pairs (Eq. 2; Chen et al. 2016).

    With `r` the relation of a pair and `d = z[A] - z[B]` the difference of the predicted depths,

        psi = log(1 + exp(-r d))    where r != 0
        psi = d^2                   where r == 0

    and the loss is the mean of psi over the valid pairs of the whole batch, whichever image they belong to. The text
    of the paper calls the point of a pair with r = 1 the closer one, which contradicts its Eq. 2: here, as in the code
    of DIW, ReDWeb and NYU, a larger depth is farther.

    The code of DIW overflows in float32 where `-r d > 88`; this form is finite there, as is its gradient. That code's
    option to drop the easiest quarter of the pairs is left out: it drops none and only changes the divisor.

    Args:
        depth: Relative depth, larger = farther, without unit, unbounded.
        points: Pixels of `depth`, from 0, as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        valid: Mask of the pairs that count, False for padding; all True if None.

    Returns:
        The mean loss in at least float32, 0 or more; 0, with gradient 0, where there is no valid pair.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import ranking_loss
        >>> depth = jnp.float32([1, 3]).reshape(1, 1, 2, 1)
        >>> points = jnp.int32([[[[0, 1], [0, 0]]]])  # A at y = 0, x = 1; B at y = 0, x = 0
        >>> print(f"{ranking_loss(depth, points, relation=jnp.int32([[1]])):.3f}")  # A is farther
        0.127
        >>> print(f"{ranking_loss(depth, points, relation=jnp.int32([[-1]])):.3f}")
        2.127

    References:
        Chen et al., "Single-Image Depth Perception in the Wild", NIPS 2016. Code: princeton-vl/relative_depth,
        `relative_depth.lua`, and princeton-vl/YouTube3D, `RelativeLoss.py`.
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    return _mean(_pair_losses(depth, points, relation, valid), valid)


def improved_ranking_loss(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"] | None = None,
    *,
    drop_easy: float = 0.0,
) -> Float[Array, ""]:
    """Computes the ranking loss of ordinal pairs without the easiest of each image (Eq. 3; Xian et al. 2018).

    The loss of a pair is that of `ranking_loss`. In every image the `drop_easy` share of the valid pairs with a
    relation other than 0 that have the smallest loss is left out, rounded down to whole pairs; the loss is the mean
    over all other valid pairs of the batch. Xian et al. drop 0.25; the paper's Eq. 3 shows no such term.

    The public code of this loss takes its 25 % from all pairs and counts an equal pair as an unequal one of loss 0,
    so that it drops fewer; and it divides by 1.75 times the number of pairs. This function follows the text of Xian
    et al. instead.

    Args:
        depth: Relative depth, larger = farther, without unit, unbounded.
        points: Pixels of `depth`, from 0, as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        valid: Mask of the pairs that count, False for padding; all True if None.
        drop_easy: Share of the unequal pairs of an image to leave out, in [0, 1).

    Returns:
        The mean loss in at least float32, 0 or more; 0, with gradient 0, where there is no valid pair.

    Raises:
        ValueError: If `drop_easy` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import improved_ranking_loss
        >>> depth = jnp.float32([1, 3]).reshape(1, 1, 2, 1)
        >>> points = jnp.int32([[[[0, 1], [0, 0]], [[0, 0], [0, 1]]]])
        >>> relation = jnp.int32([[1, 1]])  # The first pair is ordered correctly, the second is not.
        >>> print(f"{improved_ranking_loss(depth, points, relation):.3f}")
        1.127
        >>> print(f"{improved_ranking_loss(depth, points, relation, drop_easy=0.5):.3f}")
        2.127

    References:
        Xian et al., "Monocular Relative Depth Perception with Web Stereo Data Supervision", CVPR 2018.
    """
    if not 0 <= drop_easy < 1:
        raise ValueError(f"`drop_easy` must be in the range [0, 1), got {drop_easy}")
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    losses = _pair_losses(depth, points, relation, valid)
    return _mean(losses, valid & ~_easiest(losses, valid & (relation != 0), drop_easy))


def _pair_losses(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"],
) -> Float[Array, "batch pairs"]:
    at_points = _gather_points(depth, points)
    at_points = at_points.astype(np.promote_types(depth.dtype, np.float32))
    difference = jnp.where(valid, at_points[..., 0] - at_points[..., 1], 0)
    ordered = jax.nn.softplus(-relation.astype(difference.dtype) * difference)
    return jnp.where(relation == 0, jnp.square(difference), ordered)


def _gather_points(
    depth: Float[Array, "batch height width 1"], points: Int[Array, "batch pairs 2 2"]
) -> Float[Array, "batch pairs 2"]:
    # With vmap the compiler sees that no image needs the pixels of another device.
    return jax.vmap(lambda image, pixels: image[pixels[..., 0], pixels[..., 1], 0])(depth, points)


def _easiest(
    losses: Float[Array, "batch pairs"], candidates: Bool[Array, "batch pairs"], share: float
) -> Bool[Array, "batch pairs"]:
    """Marks the `share` of each image's candidates that have the smallest loss."""
    order = jnp.argsort(jnp.where(candidates, losses, jnp.inf), axis=1)
    rank = jnp.argsort(order, axis=1)
    dropped = jnp.floor(share * jnp.sum(candidates, axis=1, keepdims=True).astype(losses.dtype))
    return rank.astype(losses.dtype) < dropped


def _mean(losses: Float[Array, "batch pairs"], counted: Bool[Array, "batch pairs"]) -> Float[Array, ""]:
    return jnp.sum(losses, where=counted) / jnp.maximum(jnp.sum(counted), 1).astype(losses.dtype)
