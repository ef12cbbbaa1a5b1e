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
    """Penalizes pairs that are ordered wrongly (Eq. 2; DIW, Chen et al. 2016).

    With d = z_A - z_B a pair costs softplus(-relation * d), or d^2 where `relation` is 0. The cost is
    averaged over the valid pairs of the whole batch, whichever image they belong to.

    The code of DIW overflows in float32 where -relation * d > 88; this form is finite there, as is its
    gradient. The code's option to drop the easiest quarter of the pairs is left out: it drops none and only
    changes the divisor.

    Args:
        depth: Relative depth, larger = farther, unbounded.
        points: 0-based pixels of `depth` as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        valid: False for padding; all True if None.

    Returns:
        The mean cost in at least float32; 0 where there is no valid pair.
    """
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    return _mean(_pair_costs(depth, points, relation, valid), valid)


def improved_ranking_loss(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"] | None = None,
    *,
    drop_easy: float = 0.0,
) -> Float[Array, ""]:
    """Penalizes pairs that are ordered wrongly, but not the easiest ones (Eq. 3; Xian et al. 2018).

    A pair costs what it costs in `ranking_loss`. In every image the `drop_easy` share of the valid pairs with
    `relation` other than 0 that cost least is left out, rounded down to whole pairs; the cost is averaged over all
    other valid pairs of the batch. Xian et al. drop 0.25; the paper's Eq. 3 shows no such term.

    The public code of this loss takes its 25 % from all pairs and counts an equal pair as an unequal one of cost 0,
    so that it drops fewer; and it divides by 1.75 times the number of pairs. Here it is as their text has it.

    Args:
        depth: Relative depth, larger = farther, unbounded.
        points: 0-based pixels of `depth` as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        valid: False for padding; all True if None.
        drop_easy: Share of the unequal pairs of an image to leave out, in [0, 1).

    Returns:
        The mean cost in at least float32; 0 where there is no valid pair.

    Raises:
        ValueError: If `drop_easy` is out of range.
    """
    if not 0 <= drop_easy < 1:
        raise ValueError(f"drop_easy must be in the range [0, 1), got {drop_easy}")
    valid = jnp.ones(relation.shape, bool) if valid is None else valid
    costs = _pair_costs(depth, points, relation, valid)
    return _mean(costs, valid & ~_easiest(costs, valid & (relation != 0), drop_easy))


def _pair_costs(
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
    costs: Float[Array, "batch pairs"], candidates: Bool[Array, "batch pairs"], share: float
) -> Bool[Array, "batch pairs"]:
    """Marks the `share` of each image's candidates that cost least."""
    order = jnp.argsort(jnp.where(candidates, costs, jnp.inf), axis=1)
    rank = jnp.argsort(order, axis=1)
    dropped = jnp.floor(share * jnp.sum(candidates, axis=1, keepdims=True).astype(costs.dtype))
    return rank.astype(costs.dtype) < dropped


def _mean(costs: Float[Array, "batch pairs"], counted: Bool[Array, "batch pairs"]) -> Float[Array, ""]:
    return jnp.sum(costs, where=counted) / jnp.maximum(jnp.sum(counted), 1).astype(costs.dtype)
