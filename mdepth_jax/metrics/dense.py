"""Metrics on dense depth maps: RMSE, delta1 and SI-RMSE, over sets of images."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Map = Float[Array, "batch height width 1"]
Mask = Bool[Array, "batch height width 1"]

DELTA1 = 1.25
SMALLEST_DEPTH = 1e-3  # Smallest prediction whose logarithm is taken; smaller ones count as this one.
_PIXELS = (1, 2, 3)  # Axes of one image.


class DenseSums(NamedTuple):
    """Sums that the metrics of dense depth are computed from, one entry for each image.

    The metrics are those of all images together. Joined by `concatenate`, in NumPy arrays, the entries of several
    batches are added up in double precision: the metrics of a set depend neither on its batches nor on the devices.

    Attributes:
        pixels: Number of valid pixels.
        squared_error: Sum of (prediction - target)^2 over them, in the unit of depth squared.
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
    def scores(self) -> dict[str, float]:
        """All metrics by name."""
        return {name: float(getattr(self, name)) for name in ("rmse", "delta1", "si_rmse")}

    @property
    def rmse(self) -> Any:
        """Root mean squared error over all pixels of all images, in the unit of depth."""
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
    """Divides two sums; 0 if the second is 0. NumPy's `float` is double precision, JAX's is its default."""
    arrays = total.__array_namespace__()
    return arrays.sum(total, dtype=float) / arrays.maximum(arrays.sum(count, dtype=float), 1)


def dense_sums(prediction: Map, target: Map, valid: Mask | None = None) -> DenseSums:
    """Compares depth maps image by image; images of different sizes may be padded with invalid pixels.

    A prediction that is not positive is wrong for delta1, and counts as 0.001 for SI-RMSE; one that is NaN is wrong for
    delta1 and makes the other metrics NaN.

    Args:
        prediction: Depth, larger = farther, in the unit of `target`.
        target: True depth.
        valid: Mask of the pixels that count; all if None. A pixel whose target is not positive and finite never
            counts.

    Returns:
        The sums of every image, in at least float32.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import DenseSums, dense_sums
        >>> depth = jnp.ones((2, 4, 4, 1))
        >>> batches = [dense_sums(depth, depth), dense_sums(3 * depth, depth)]
        >>> print(f"{DenseSums.concatenate(batches).rmse:.3f}")
        1.414
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
    """Computes the root mean squared error over all valid pixels, sqrt((1 / n) sum (p - t)^2) (Sec. 4.1).

    Args:
        prediction: Depth, larger = farther, in the unit of `target`.
        target: True depth; a pixel that is not positive and finite never counts.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The error in the unit of depth; 0 where there is no valid pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import rmse
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 2, 1) for depth in ([2, 4], [2, 2]))
        >>> print(f"{rmse(prediction, target):.3f}")
        1.414

    References:
        Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network", NIPS 2014.
    """
    return dense_sums(prediction, target, valid).rmse


def delta1(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the share of valid pixels with max(p / t, t / p) < 1.25 (Sec. 4.1).

    Args:
        prediction: Depth, larger = farther, in the unit of `target`; wrong where it is not positive.
        target: True depth; a pixel that is not positive and finite never counts.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The share, 0 to 1, larger = better; 0 where there is no valid pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import delta1
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 2, 1) for depth in ([2.4, 4], [2, 2]))
        >>> print(f"{delta1(prediction, target):.2f}")
        0.50

    References:
        Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network", NIPS 2014.
    """
    return dense_sums(prediction, target, valid).delta1


def si_rmse(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the scale-invariant error of log depth, averaged over images (Sec. 4.1; Li et al. 2019).

    The error of one image is sqrt(2 var(log p - log t)), which no factor on the prediction changes. The original takes
    the root of a difference that rounding can turn negative; here the variance is never negative.

    A network that predicts log depth gives `p` by the exponential. Relative depth, which is known up to a factor and an
    addend, has no logarithm: align it first, by `align_to_nyu` as for RMSE. The paper does not say how it does it.

    Args:
        prediction: Positive depth, larger = farther, in any unit; counts as 0.001 where it is smaller, as a network of
            metric depth predicts now and then.
        target: True depth; a pixel that is not positive and finite never counts.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The error, without unit; 0 where there is no valid pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import si_rmse
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 2, 1) for depth in ([1, 4], [1, 2]))
        >>> print(f"{si_rmse(prediction, target):.3f} {si_rmse(7 * prediction, target):.3f}")
        0.490 0.490

    References:
        Li et al., "Learning the Depths of Moving People by Watching Frozen People", CVPR 2019. Code:
        google/mannequinchallenge, `models/networks.py`, `JointLoss`.
    """
    return dense_sums(prediction, target, valid).si_rmse
