"""Losses between dense depth maps."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Map = Float[Array, "batch height width 1"]
Mask = Bool[Array, "batch height width 1"]


def l1_loss(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the mean absolute error over all valid pixels of the batch (Sec. 4.1, NYUv2 Depth).

        loss = (1 / n) sum |prediction - target|,   n valid pixels

    Args:
        prediction: Depth, larger = farther.
        target: Depth in the unit of `prediction`; may be NaN or infinite where invalid.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The error in at least float32 and in the unit of depth; 0, with gradient 0, where there is no valid pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import l1_loss
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 2, 1) for depth in ([2, 3], [2, 6]))
        >>> print(f"{l1_loss(prediction, target):.2f}")
        1.50
        >>> print(f"{l1_loss(prediction, target, valid=target < 5):.2f}")
        0.00

    References:
        Wofk et al., "FastDepth: Fast Monocular Depth Estimation on Embedded Systems", ICRA 2019.
    """
    error, valid = masked_difference(prediction, target, valid)
    return jnp.sum(absolute(error)) / jnp.maximum(count_valid(valid, error.dtype), 1)


def rmse_loss(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the root mean squared error over all valid pixels of the batch (Sec. 3.3, pixel-wise term of Eq. 5).

        loss = sqrt((1 / n) sum (prediction - target)^2),   n valid pixels

    The paper does not say over what the mean is taken.

    Args:
        prediction: Depth, larger = farther.
        target: Depth on the scale of `prediction`; may be NaN or infinite where invalid.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The error in at least float32 and in the unit of depth; 0, with gradient 0, where there is no error or no valid
        pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import rmse_loss
        >>> student, teacher = (jnp.float32(depth).reshape(1, 1, 2, 1) for depth in ([2, 3], [2, 6]))
        >>> print(f"{rmse_loss(student, teacher):.3f}")
        2.121

    References:
        Liu et al., "Structured Knowledge Distillation for Dense Prediction", TPAMI 2020, whose pixel-wise loss on
        classes the paper replaces by this one.
    """
    error, valid = masked_difference(prediction, target, valid)
    mean_square = jnp.sum(jnp.square(error)) / jnp.maximum(count_valid(valid, error.dtype), 1)
    is_zero = mean_square == 0
    return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, mean_square)))


def masked_difference(prediction: Map, target: Map, valid: Mask | None) -> tuple[Map, Mask]:
    """Computes the error in at least float32, 0 where invalid; returns it with the mask."""
    dtype = np.promote_types(prediction.dtype, np.float32)
    valid = jnp.ones(target.shape, bool) if valid is None else valid
    return jnp.where(valid, prediction.astype(dtype) - target.astype(dtype), 0), valid


def absolute(x: Array) -> Array:
    """Computes |x| with gradient 0 at 0, where that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def count_valid(valid: Mask, dtype: np.dtype) -> Float[Array, ""]:
    """Counts the valid pixels."""
    return jnp.sum(valid).astype(dtype)
