"""Losses on log depth of the Mannequin Challenge (Li et al. 2019).

References:
    Li et al., "Learning the Depths of Moving People by Watching Frozen People", CVPR 2019. Code:
    google/mannequinchallenge, `models/networks.py`, `JointLoss`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mdepth_jax.losses.dense import Map, Mask, absolute, count_valid, masked_difference

_EPSILON = 1e-6  # The original's: added to every number of pixels that it divides by.


def scale_invariant_loss(prediction: Map, target: Map, valid: Mask | None = None) -> Float[Array, ""]:
    """Computes the scale-invariant mean squared error of log depth, averaged over images (Eq. 1, L_mse).

    With `R = prediction - target` the loss of an image with n valid pixels is the variance of this error in log depth,

        loss = (1 / n) sum R^2 - ((1 / n) sum R)^2

    so that a factor on the depth, which adds a constant to its logarithm, costs nothing. Where rounding turns the
    original negative, the loss is 0.

    Args:
        prediction: Natural logarithm of depth.
        target: Natural logarithm of depth; may be NaN or infinite where invalid.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The loss in at least float32, 0 or more; an image without valid pixels adds 0 to the mean.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import scale_invariant_loss
        >>> prediction, target = (jnp.float32(depth).reshape(1, 1, 2, 1) for depth in ([1, 3], [0, 0]))
        >>> print(f"{scale_invariant_loss(prediction, target):.2f}")
        1.00
        >>> print(f"{scale_invariant_loss(prediction + 5, target):.2f}")
        1.00

    References:
        Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network", NIPS 2014; Li et al.
        2019, see the module.
    """
    error, valid = masked_difference(prediction, target, valid)
    axes = (1, 2, 3)
    count = jnp.sum(valid, axes).astype(error.dtype) + _EPSILON
    variance = jnp.sum(jnp.square(error), axes) / count - jnp.square(jnp.sum(error, axes) / count)
    return jnp.mean(jax.nn.relu(variance))


def multiscale_gradient_loss(
    prediction: Map, target: Map, valid: Mask | None = None, *, scales: int = 5
) -> Float[Array, ""]:
    """Computes the multi-scale gradient loss of log depth (Eq. 1, L_grad).

    With `R = prediction - target`, the error in log depth, the loss of one scale is the mean of

        |R(y, x) - R(y + 2, x)|   and   |R(y, x) - R(y, x + 2)|

    over all pairs of valid pixels of the batch: at distance two, as in the original code. Each further scale keeps
    every second row and column. The losses of the scales are added up; a scale too small for such a pair adds 0.

    Args:
        prediction: Natural logarithm of depth.
        target: Natural logarithm of depth; may be NaN or infinite where invalid.
        valid: Mask of the pixels that count; all if None.
        scales: Number of scales, at strides 1, 2, 4, ...

    Returns:
        The loss in at least float32, 0 or more; 0 where there is no pair of valid pixels.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import multiscale_gradient_loss
        >>> prediction = jnp.arange(4.0).reshape(1, 1, 4, 1)  # a slope of 1 a pixel
        >>> print(f"{multiscale_gradient_loss(prediction, jnp.zeros((1, 1, 4, 1)), scales=1):.2f}")
        2.00

    References:
        Li and Snavely, "MegaDepth: Learning Single-View Depth Prediction from Internet Photos", CVPR 2018; Li et al.
        2019, see the module.
    """
    error, valid = masked_difference(prediction, target, valid)
    return sum((_gradient_loss(*_subsample(scale, error, valid)) for scale in range(scales)), start=_zero(error))


def _gradient_loss(error: Map, valid: Mask) -> Float[Array, ""]:
    pairs = [
        (error[:, :-2] - error[:, 2:], valid[:, :-2] & valid[:, 2:]),
        (error[:, :, :-2] - error[:, :, 2:], valid[:, :, :-2] & valid[:, :, 2:]),
    ]
    total = sum((jnp.sum(absolute(step), where=both) for step, both in pairs), start=_zero(error))
    return total / (sum((count_valid(both, error.dtype) for _, both in pairs), start=_zero(error)) + _EPSILON)


def multiscale_smoothness_loss(
    prediction: Map, image: Float[Array, "batch height width 3"], *, order: int = 1, scales: int = 3
) -> Float[Array, ""]:
    """Computes the multi-scale edge-aware smoothness loss of log depth (Eq. 1, L_sm).

    It penalizes changes of the prediction P where the image I does not change. At one scale it is the mean over all
    pixels of

        |dP/dx| exp(-|dI/dx|) + |dP/dy| exp(-|dI/dy|)    for order 1, with forward differences
        |lap P| exp(-|lap I|)                            for order 2, with the Laplacian of four neighbors

    where changes of the image are averaged over its colors. Scale s keeps every 2^s-th row and column and has the
    weight 2^-s. Every pixel counts, as in the original; a scale too small for a difference adds 0, where the original
    returns NaN.

    Args:
        prediction: Natural logarithm of depth.
        image: RGB in [0, 1].
        order: Order of the derivatives, 1 or 2.
        scales: Number of scales; the paper uses three (Sec. 4.1), the original code five.

    Returns:
        The loss in at least float32, 0 or more.

    Raises:
        ValueError: If `order` is neither 1 nor 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import multiscale_smoothness_loss
        >>> prediction = jnp.float32([[0, 1], [0, 1]]).reshape(1, 2, 2, 1)  # an edge between the columns
        >>> gray = jnp.zeros((1, 2, 2, 3))
        >>> print(f"{multiscale_smoothness_loss(prediction, gray, scales=1):.2f}")
        1.00
        >>> same_edge = jnp.repeat(prediction, 3, axis=-1)
        >>> print(f"{multiscale_smoothness_loss(prediction, same_edge, scales=1):.2f}")
        0.37

    References:
        Li et al. 2019, see the module.
    """
    if order not in (1, 2):
        raise ValueError(f"`order` must be 1 or 2, got {order}")
    prediction = prediction.astype(np.promote_types(prediction.dtype, np.float32))
    image = image.astype(prediction.dtype)
    derivatives = (_down, _right) if order == 1 else (_laplacian,)
    total = _zero(prediction)
    for scale in range(scales):
        depth, color = _subsample(scale, prediction, image)
        for derivative in derivatives:
            edges = jnp.mean(jnp.abs(derivative(color)), axis=-1, keepdims=True)
            changes = absolute(derivative(depth)) * jnp.exp(-edges)
            total += 0.5**scale * jnp.sum(changes) / max(changes.size, 1)
    return total


def _right(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height-1 width-1 channels"]:
    return x[:, :-1, 1:] - x[:, :-1, :-1]


def _down(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height-1 width-1 channels"]:
    return x[:, 1:, :-1] - x[:, :-1, :-1]


def _laplacian(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    inner = x[:, 1:-1, 1:-1]
    neighbors = x[:, :-2, 1:-1], x[:, 2:, 1:-1], x[:, 1:-1, :-2], x[:, 1:-1, 2:]
    above, below, left, right = (inner - neighbor for neighbor in neighbors)  # Exactly 0 on a constant map.
    return above + below + left + right


def mannequin_loss(
    prediction: Map,
    target: Map,
    image: Float[Array, "batch height width 3"],
    valid: Mask | None = None,
    *,
    a1: float = 0.5,
    a2: float = 0.05,
    smoothness_scales: int = 3,
) -> Float[Array, ""]:
    """Computes the loss of the Mannequin Challenge (Sec. 3.2.2, Eq. 1).

        loss = L_mse + a1 L_grad + a2 L_sm

    L_mse is `scale_invariant_loss`, L_grad `multiscale_gradient_loss` over five scales, and L_sm the sum of both orders
    of `multiscale_smoothness_loss`. The original code multiplies everything by 1.5, gives the second order 4/3 of the
    weight of the first, and has a further term for human regions, which the paper leaves out.

    Args:
        prediction: Natural logarithm of depth.
        target: Natural logarithm of depth; may be NaN or infinite where invalid.
        image: RGB in [0, 1].
        valid: Mask of the pixels that count in the first two terms; all if None.
        a1: Weight of the gradient term.
        a2: Weight of the smoothness term.
        smoothness_scales: Number of scales of the smoothness term.

    Returns:
        The loss in at least float32, 0 or more.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import mannequin_loss
        >>> prediction, target = (jnp.float32(depth).reshape(1, 2, 2, 1) for depth in ([0, 1, 0, 1], [0, 0, 0, 0]))
        >>> print(f"{mannequin_loss(prediction, target, jnp.zeros((1, 2, 2, 3))):.2f}")  # 0.25 + 0.05 * 1
        0.30

    References:
        Li et al. 2019, see the module.
    """
    smoothness = [
        multiscale_smoothness_loss(prediction, image, order=1, scales=smoothness_scales),
        multiscale_smoothness_loss(prediction, image, order=2, scales=smoothness_scales),
    ]
    return (
        scale_invariant_loss(prediction, target, valid)
        + a1 * multiscale_gradient_loss(prediction, target, valid)
        + a2 * (smoothness[0] + smoothness[1])
    )


def _subsample(scale: int, *maps: Array) -> tuple[Array, ...]:
    return tuple(array[:, :: 2**scale, :: 2**scale] for array in maps)


def _zero(like: Array) -> Float[Array, ""]:
    return jnp.zeros((), like.dtype)
