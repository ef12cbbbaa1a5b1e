"""One loss over the final and the intermediate predictions."""

from collections.abc import Sequence

from jaxtyping import Array, Float


def auxiliary_loss(losses: Sequence[Float[Array, ""]], weights: Sequence[float]) -> Float[Array, ""]:
    """Computes the weighted sum of one loss over all predictions, `L_aux = sum_i lambda_i L_i` (Eq. 4, Sec. 3.3).

    Args:
        losses: Loss of the final prediction, then of each intermediate prediction.
        weights: One weight for each of `losses`, such as those of `auxiliary_weights`.

    Returns:
        The weighted sum, in the dtype of the losses.

    Raises:
        ValueError: If there are no losses, or not one weight for each.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import auxiliary_loss, auxiliary_weights
        >>> losses = [jnp.float32(0.2), jnp.float32(0.4), jnp.float32(0.8)]
        >>> print(f"{auxiliary_loss(losses, auxiliary_weights(heads=2)):.2f}")
        0.40

    References:
        Godard et al., "Digging into Self-Supervised Monocular Depth Estimation", ICCV 2019; Zhang et al., "Be Your Own
        Teacher: Improve the Performance of Convolutional Neural Networks via Self Distillation", ICCV 2019.
    """
    if not losses or len(losses) != len(weights):
        raise ValueError(f"`weights` must hold one weight for each loss: {len(losses)} losses, {len(weights)} weights")
    first, *others = (weight * loss for weight, loss in zip(weights, losses, strict=True))
    return sum(others, start=first)


def auxiliary_weights(heads: int) -> tuple[float, ...]:
    """Returns the paper's weights of the final and of 0, 1 or 2 intermediate predictions (Sec. 3.3 and 4.3.1).

    Args:
        heads: Number of intermediate predictions.

    Returns:
        One half for the final prediction and one half shared by the others; 1 where there are no others.

    Raises:
        ValueError: If `heads` is not 0, 1 or 2.

    Example:
        >>> from mdepth_jax.losses import auxiliary_weights
        >>> auxiliary_weights(heads=2)
        (0.5, 0.25, 0.25)
    """
    weights = {0: (1.0,), 1: (0.5, 0.5), 2: (0.5, 0.25, 0.25)}
    if heads not in weights:
        raise ValueError(f"`heads` must be 0, 1 or 2, got {heads}")
    return weights[heads]
