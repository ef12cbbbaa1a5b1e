"""Losses between dense depth maps."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Map = Float[Array, "batch height width 1"]
Mask = Bool[Array, "batch height width 1"]


def l1_loss(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the mean absolute error over all valid pixels of the batch (Sec. 4.1, NYUv2).

    Args:
        prediction: Depth, larger = farther.
        target: Depth in the same unit; may be NaN where invalid.
        valid: Pixels that count; all if None.

    Returns:
        The error in at least float32; 0, with gradient 0, where there is no valid pixel.
    """
    error, valid = masked_difference(prediction, target, valid)
    return jnp.sum(absolute(error)) / jnp.maximum(count_valid(valid, error.dtype), 1)


def rmse_loss(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the root of the mean squared error over all valid pixels of the batch (Sec. 3.2, pixel-wise).

    Args:
        prediction: Relative depth, larger = farther.
        target: Depth on the same scale; may be NaN where invalid.
        valid: Pixels that count; all if None.

    Returns:
        The error in at least float32; 0, with gradient 0, where there is no error or no valid pixel.
    """
    error, valid = masked_difference(prediction, target, valid)
    mean_square = jnp.sum(jnp.square(error)) / jnp.maximum(count_valid(valid, error.dtype), 1)
    is_zero = mean_square == 0
    return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, mean_square)))


def masked_difference(prediction: Map, target: Map, valid: Mask | None) -> tuple[Map, Mask]:
    """Gives the error in at least float32, 0 where invalid, and the mask."""
    dtype = np.promote_types(prediction.dtype, np.float32)
    valid = jnp.ones(target.shape, bool) if valid is None else valid
    return jnp.where(valid, prediction.astype(dtype) - target.astype(dtype), 0), valid


def absolute(x: Array) -> Array:
    """Gives |x| with gradient 0 at 0, where that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def count_valid(valid: Mask, dtype: np.dtype) -> Float[Array, ""]:
    """Counts the valid pixels."""
    return jnp.sum(valid).astype(dtype)
