"""Losses between dense depth maps."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def rmse_loss(
    prediction: Float[Array, "batch height width 1"],
    target: Float[Array, "batch height width 1"],
    valid: Bool[Array, "batch height width 1"] | None = None,
) -> Float[Array, ""]:
    """Computes the root of the mean squared error over all valid pixels of the batch (Sec. 3.2, pixel-wise).

    Args:
        prediction: Relative depth, larger = farther.
        target: Depth on the same scale; may be NaN where invalid.
        valid: Pixels that count; all if None.

    Returns:
        The error in at least float32; 0, with gradient 0, where there is no error or no valid pixel.
    """
    dtype = np.promote_types(prediction.dtype, np.float32)
    valid = jnp.ones(target.shape, bool) if valid is None else valid
    error = jnp.where(valid, prediction.astype(dtype) - target.astype(dtype), 0)
    mean_square = jnp.sum(jnp.square(error)) / jnp.maximum(jnp.sum(valid), 1).astype(dtype)
    is_zero = mean_square == 0
    return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, mean_square)))
