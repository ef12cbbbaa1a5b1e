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
    """Penalises pairs that are ordered wrongly (Eq. 2; DIW, Chen et al. 2016).

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
    at_points = _gather_points(depth, points)
    at_points = at_points.astype(np.promote_types(depth.dtype, np.float32))
    difference = jnp.where(valid, at_points[..., 0] - at_points[..., 1], 0)
    ordered = jax.nn.softplus(-relation.astype(difference.dtype) * difference)
    cost = jnp.where(relation == 0, jnp.square(difference), ordered)
    return jnp.sum(cost, where=valid) / jnp.maximum(jnp.sum(valid), 1).astype(cost.dtype)


def _gather_points(
    depth: Float[Array, "batch height width 1"], points: Int[Array, "batch pairs 2 2"]
) -> Float[Array, "batch pairs 2"]:
    # With vmap the compiler sees that no image needs the pixels of another device.
    return jax.vmap(lambda image, pixels: image[pixels[..., 0], pixels[..., 1], 0])(depth, points)
