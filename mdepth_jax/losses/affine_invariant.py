"""Losses that neither a factor on depth nor an addend changes, for depth maps of unknown scale and shift.

References:
    Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-shot Cross-dataset Transfer",
    TPAMI 2020 (MiDaS). The details are those of ZipDepth's published code (2026).
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mdepth_jax.losses.dense import Map, Mask, absolute, count_valid

_SMALLEST_DEVIATION = 1e-6  # Floor of the mean absolute deviation, the published code's.


def affine_invariant_loss(
    prediction: Map, target: Map, valid: Mask | None = None, *, trim: float = 0.0
) -> Float[Array, ""]:
    """Computes the mean absolute error between maps of which each has its own unit (Ranftl et al. 2020).

    Over the valid pixels of an image, with m the median of a map v (of an even number the lower middle value) and s its
    mean absolute deviation,

        v' = (v - m) / max(s, 1e-6),   s = mean(|v - m|)
        loss = (1 / n) sum |prediction' - target'|,   n valid pixels of the batch

    The gradient flows through m and s; values that tie for the median share its gradient. `trim` leaves out the largest
    residuals of every image, whatever their size, as MiDaS does with 0.2 against errors in the target; the divisor
    remains n. MiDaS takes half of this loss, ZipDepth the whole.

    Args:
        prediction: Depth, larger = farther, in any unit.
        target: Depth in any unit, another in each image; may be NaN or infinite where invalid.
        valid: Mask of the pixels that count; all if None.
        trim: Share of the valid pixels of an image to leave out, in [0, 1), rounded up to whole pixels.

    Returns:
        The loss in at least float32, without unit; 0, with gradient 0, where there is no valid pixel.

    Raises:
        ValueError: If `trim` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import affine_invariant_loss
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 4, 1) for depth in ([1, 2, 3, 4], [1, 2, 3, 8]))
        >>> print(f"{affine_invariant_loss(prediction, target):.3f}")
        0.500
        >>> print(f"{affine_invariant_loss(5 * target - 7, target):.3f}")
        0.000
        >>> print(f"{affine_invariant_loss(prediction, target, trim=0.2):.3f}")  # without the largest of the four
        0.250

    References:
        Ranftl et al. 2020, see the module.
    """
    if not 0 <= trim < 1:
        raise ValueError(f"`trim` must be in the range [0, 1), got {trim}")
    residual, valid = _normalized_residual(prediction, target, valid)
    error = absolute(residual)
    if trim:
        error = error * _keep_smallest(error, valid, trim)
    return jnp.sum(error) / jnp.maximum(count_valid(valid, error.dtype), 1)


def gradient_matching_loss(
    prediction: Map, target: Map, valid: Mask | None = None, *, scales: int = 4
) -> Float[Array, ""]:
    """Computes the error of spatial gradients between maps of which each has its own unit (Ranftl et al. 2020).

    Both maps are normalized as in `affine_invariant_loss`. With R the difference of the normalized maps, the loss of
    one scale is the mean of

        |R(y, x) - R(y + 1, x)|   and   |R(y, x) - R(y, x + 1)|

    over all pairs of valid pixels of the batch. Each further scale averages R over blocks of 2x2 pixels, of which one
    is valid if all of its pixels are; rows and columns left over are dropped. The loss is the mean over the scales; a
    scale without such a pair counts as 0.

    Args:
        prediction: Depth, larger = farther, in any unit.
        target: Depth in any unit, another in each image; may be NaN or infinite where invalid.
        valid: Mask of the pixels that count; all if None.
        scales: Number of scales.

    Returns:
        The loss in at least float32, without unit; 0, with gradient 0, where there is no pair of valid pixels.

    Raises:
        ValueError: If `scales` is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import gradient_matching_loss
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 3, 1) for depth in ([1, 2, 3], [3, 2, 1]))
        >>> print(f"{gradient_matching_loss(prediction, target, scales=1):.3f}")
        3.000
        >>> print(f"{gradient_matching_loss(prediction, 2 * prediction - 7, scales=1):.3f}")
        0.000

    References:
        Ranftl et al. 2020, see the module; Li and Snavely, "MegaDepth: Learning Single-View Depth Prediction from
        Internet Photos", CVPR 2018.
    """
    if scales < 1:
        raise ValueError(f"`scales` must be positive, got {scales}")
    residual, valid = _normalized_residual(prediction, target, valid)
    total = jnp.zeros((), residual.dtype)
    for scale in range(scales):
        if scale:
            residual, valid = _halve(residual, valid)
        total += _gradient_error(residual, valid)
    return total / scales


def _normalized_residual(prediction: Map, target: Map, valid: Mask | None) -> tuple[Map, Mask]:
    """Computes the difference of the normalized maps in at least float32, 0 where invalid; returns it with the mask."""
    dtype = np.promote_types(prediction.dtype, np.float32)
    valid = jnp.ones(target.shape, bool) if valid is None else valid
    return _normalize(prediction.astype(dtype), valid) - _normalize(target.astype(dtype), valid), valid


def _normalize(depth: Map, valid: Mask) -> Map:
    """Divides by the mean absolute deviation from the median, image by image; 0 where invalid."""
    depth = jnp.where(valid, depth, 0)
    centered = jnp.where(valid, depth - _median(depth, valid), 0)
    count = jnp.maximum(jnp.sum(valid, (1, 2, 3), keepdims=True), 1).astype(depth.dtype)
    deviation = jnp.sum(absolute(centered), (1, 2, 3), keepdims=True) / count
    return centered / jnp.maximum(deviation, _SMALLEST_DEVIATION)


def _median(depth: Map, valid: Mask) -> Float[Array, "batch 1 1 1"]:
    """Computes the median of the valid pixels of each image, the lower of two; 0 where there is none."""
    count = jnp.sum(valid, (1, 2, 3))
    median = _select(depth, valid, (count - 1) // 2)
    median = jnp.where(count[:, None, None, None] > 0, median, 0)
    is_median = valid & (depth == median)
    ties = jnp.maximum(jnp.sum(is_median, (1, 2, 3), keepdims=True), 1).astype(depth.dtype)
    differentiable = jnp.sum(depth, (1, 2, 3), where=is_median, keepdims=True) / ties
    # Exactly the value of the pixels, so that a constant map has the deviation 0.
    return median + (differentiable - lax.stop_gradient(differentiable))


def _keep_smallest(error: Map, valid: Mask, trim: float) -> Map:
    """Weighs each image's smallest errors by 1 and the rest by 0; the errors on the border share what is left."""
    error = lax.stop_gradient(error)
    kept = jnp.floor((1 - trim) * jnp.sum(valid, (1, 2, 3), keepdims=True).astype(error.dtype))
    border = _select(error, valid, jnp.maximum(kept[:, 0, 0, 0].astype(jnp.int32) - 1, 0))
    is_below, is_border = valid & (error < border), valid & (error == border)
    below, ties = (jnp.sum(mask, (1, 2, 3), keepdims=True).astype(error.dtype) for mask in (is_below, is_border))
    share = jnp.maximum(kept - below, 0) / jnp.maximum(ties, 1)
    return jnp.where(is_below, 1, jnp.where(is_border, share, 0))


def _select(values: Map, valid: Mask, rank: Int[Array, " batch"]) -> Float[Array, "batch 1 1 1"]:
    """Finds the valid value of each image that has `rank` smaller ones, from 0; no gradient flows through it.

    It finds the bits of the value from the highest to the lowest, each by counting the smaller pixels. On a CPU that
    takes a tenth of the time of a sort.
    """
    dtype = values.dtype
    bits, integer = dtype.itemsize * 8, np.dtype(f"int{dtype.itemsize * 8}")
    mantissa = integer.type(np.iinfo(integer).max)

    def flip_negative(codes: Int[Array, "..."]) -> Int[Array, "..."]:
        """Converts between the bits of a float and an integer of the same order."""
        return jnp.where(codes < 0, codes ^ mantissa, codes)

    codes = flip_negative(lax.bitcast_convert_type(lax.stop_gradient(values), integer))
    codes = jnp.where(valid, codes, mantissa)

    def find_bit(step: Int[Array, ""], found: Int[Array, " batch"]) -> Int[Array, " batch"]:
        candidate = found + (integer.type(1) << (bits - 1 - step).astype(integer))  # The first one wraps around to 0.
        smaller = jnp.sum(codes < candidate[:, None, None, None], (1, 2, 3))
        return jnp.where(smaller <= rank, candidate, found)

    lowest = jnp.full(values.shape[0], np.iinfo(integer).min, integer)
    found = flip_negative(lax.fori_loop(0, bits, find_bit, lowest))
    return lax.bitcast_convert_type(found, dtype)[:, None, None, None]


def _halve(
    residual: Map, valid: Mask
) -> tuple[Float[Array, "batch rows columns 1"], Bool[Array, "batch rows columns 1"]]:
    """Averages blocks of 2x2 pixels; one is valid if all of its pixels are."""
    batch, height, width, _ = residual.shape
    blocks = batch, height // 2, 2, width // 2, 2, 1
    residual, valid = (array[:, : height // 2 * 2, : width // 2 * 2].reshape(blocks) for array in (residual, valid))
    return jnp.mean(residual, (2, 4)), jnp.all(valid, (2, 4))


def _gradient_error(residual: Map, valid: Mask) -> Float[Array, ""]:
    pairs = [
        (residual[:, :-1] - residual[:, 1:], valid[:, :-1] & valid[:, 1:]),
        (residual[:, :, :-1] - residual[:, :, 1:], valid[:, :, :-1] & valid[:, :, 1:]),
    ]
    total, count = jnp.zeros((), residual.dtype), jnp.zeros((), residual.dtype)
    for step, both in pairs:
        total += jnp.sum(absolute(step), where=both)
        count += count_valid(both, residual.dtype)
    return total / jnp.maximum(count, 1)
