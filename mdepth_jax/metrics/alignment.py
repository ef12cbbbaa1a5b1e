"""Alignment of relative predictions to metric depth."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Mean and standard deviation of NYUv2's depth in meters, from the test code of DIW's authors.
NYU_MEAN, NYU_DEVIATION = 2.8424594402, 0.6148231626
_PIXELS = (1, 2, 3)  # Axes of one image.


def align_to_nyu(depth: Float[Array, "batch height width 1"]) -> Float[Array, "batch height width 1"]:
    """Shifts and scales a relative prediction to the mean and the standard deviation of depth in NYUv2, image by image.

        aligned = (z - mean(z)) / std(z) * 0.61482 + 2.84246

    with the standard deviation of n - 1. A depth that comes out negative is replaced by the smallest positive one of
    its image plus 1e-5. DIW's authors score relative predictions in meters this way; the paper does not say how it
    does it. Here it comes before RMSE, delta1 and SI-RMSE of relative depth (Tables 3 to 6).

    Args:
        depth: Relative depth, larger = farther, in any unit.

    Returns:
        Depth in meters, 0 or more, in at least float32. A constant map, where the original divides by 0, becomes the
        mean.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.metrics import align_to_nyu
        >>> depth = jnp.float32([10, 20, 30]).reshape(1, 1, 3, 1)
        >>> [round(float(meters), 3) for meters in align_to_nyu(depth).ravel()]
        [2.228, 2.842, 3.457]

    References:
        Chen et al., "Single-Image Depth Perception in the Wild", NIPS 2016. Code: princeton-vl/relative_depth,
        `test_model_on_NYU.lua`, `normalize_output_depth_with_NYU_mean_std`.
    """
    depth = depth.astype(np.promote_types(depth.dtype, np.float32))
    centered = depth - jnp.mean(depth, _PIXELS, keepdims=True)
    variance = jnp.sum(jnp.square(centered), _PIXELS, keepdims=True) / max(depth[0].size - 1, 1)
    is_flat = jnp.max(depth, _PIXELS, keepdims=True) == jnp.min(depth, _PIXELS, keepdims=True)
    aligned = centered / jnp.sqrt(jnp.where(is_flat, 1, variance)) * NYU_DEVIATION + NYU_MEAN
    smallest = jnp.min(aligned, _PIXELS, keepdims=True, where=aligned > 0, initial=jnp.inf)
    return jnp.where(aligned < 0, smallest + 1e-5, aligned)
