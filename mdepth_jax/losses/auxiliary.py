"""One loss over the final and the intermediate predictions."""

from collections.abc import Sequence

from jaxtyping import Array, Float


def auxiliary_loss(losses: Sequence[Float[Array, ""]], weights: Sequence[float]) -> Float[Array, ""]:
    """Sums one loss over all predictions with fixed weights (Eq. 4).

    Args:
        losses: The loss of the final prediction, then of each intermediate prediction.
        weights: One weight for each of `losses`; see `auxiliary_weights`.

    Returns:
        The weighted sum.

    Raises:
        ValueError: If there are no losses, or not one weight for each.
    """
    if not losses or len(losses) != len(weights):
        raise ValueError(f"auxiliary_loss needs one weight for each loss: {len(losses)} losses, {len(weights)} weights")
    first, *others = (weight * loss for weight, loss in zip(weights, losses, strict=True))
    return sum(others, start=first)


def auxiliary_weights(heads: int) -> tuple[float, ...]:
    """Gives the paper's weights of the final prediction and of 0, 1 or 2 intermediate ones (Sec. 3.2).

    Args:
        heads: Number of intermediate predictions.

    Returns:
        One half for the final prediction and one half shared by the others; one where there are no others.

    Raises:
        ValueError: For a number of heads other than 0, 1 and 2.
    """
    weights = {0: (1.0,), 1: (0.5, 0.5), 2: (0.5, 0.25, 0.25)}
    if heads not in weights:
        raise ValueError(f"heads must be 0, 1 or 2, got {heads}")
    return weights[heads]
