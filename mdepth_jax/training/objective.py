"""The training objective: the terms of Eq. 5, each over all predictions as in Eq. 4."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from mdepth_jax import losses
from mdepth_jax.data.types import Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthOutputs

Scalar = Float[Array, ""]
TERMS = ("ranking", "pixelwise", "pairwise", "dense")


REQUIREMENTS = {
    "ranking": ("pairs", "a pairs CSV"),
    "pixelwise": ("teacher_depth", "a teacher: --config.teacher.maps=True or --config.teacher.run=DIR"),
    "pairwise": (
        "teacher_features",
        "a teacher with features (cached maps have none): --config.teacher.run=DIR",
    ),
    "dense": ("depth", "depth maps: a folder depth/ beside images/"),
}


def resolve_terms(terms: str, supervision: Supervision) -> tuple[str, ...]:
    """Reads `config.loss.terms`.

    Args:
        terms: Names joined by "+", or "auto" for ranking and all that the teacher allows.
        supervision: What the data and the teacher give.

    Raises:
        UserError: For an unknown term, or one that lacks what it needs.
    """
    if terms == "auto":
        return tuple(term for term in TERMS[:3] if getattr(supervision, REQUIREMENTS[term][0]))
    names = tuple(terms.split("+"))
    for name in names:
        if name not in TERMS:
            raise UserError(f"config.loss.terms: {name!r} is no term; choose from {', '.join(TERMS)}, joined by +")
        field, need = REQUIREMENTS[name]
        if not getattr(supervision, field):
            raise UserError(f"config.loss.terms: {name!r} needs {need}")
    return names


class Objective:
    """Computes the named losses of one batch.

    Args:
        terms: Which of `TERMS`.
        heads: Number of intermediate predictions.
        pool_scale: Of `losses.pairwise_loss`.
        fixed_intermediate: True for one loss per term with the fixed weights of Eq. 4 ("FIP"); False for one loss per
            term and prediction, for the balancer to weigh.
    """

    def __init__(
        self, terms: tuple[str, ...], *, heads: int, pool_scale: float = 0.5, fixed_intermediate: bool = True
    ) -> None:
        self.terms = terms
        self.heads = heads
        self.pool_scale = pool_scale
        self.fixed_intermediate = fixed_intermediate

    def initial_weights(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Spreads the weights of the terms over the losses, scaled to sum to one."""
        spread = {
            name: weights[term] / len(names) for term in self.terms for names in [self._names(term)] for name in names
        }
        total = sum(spread.values())
        return {name: weight / total for name, weight in spread.items()}

    def __call__(self, outputs: DepthOutputs, batch: Mapping[str, Any]) -> dict[str, Scalar]:
        """Computes every loss.

        Args:
            outputs: The network's, in training mode.
            batch: As `mdepth_jax.data.types.Batch` (training), with `teacher_depth` `[B, H, W, 1]` and
                `teacher_features` `[B, h, w, C]` where the terms need them.

        Returns:
            Losses by name, one for each weight of `initial_weights`.
        """
        per_prediction: dict[str, Callable[[Float[Array, "batch height width 1"]], Scalar]] = {
            "ranking": lambda depth: losses.ranking_loss(depth, batch["points"], batch["relation"], batch["valid"]),
            "pixelwise": lambda depth: _regression(depth, batch["teacher_depth"]),
            "dense": lambda depth: _regression(depth, batch["depth"]),
        }
        predictions = (outputs.depth, *outputs.auxiliary)
        result: dict[str, Scalar] = {}
        for term in self.terms:
            if term == "pairwise":
                features = batch["teacher_features"]
                result[term] = losses.pairwise_loss(outputs.features, features, pool_scale=self.pool_scale)
                continue
            values = [per_prediction[term](depth) for depth in predictions]
            if self.fixed_intermediate:
                values = [losses.auxiliary_loss(values, losses.auxiliary_weights(self.heads))]
            result |= zip(self._names(term), values, strict=True)
        return result

    def _names(self, term: str) -> list[str]:
        if term == "pairwise" or self.fixed_intermediate or not self.heads:
            return [term]
        return [f"{term}_{index}" for index in range(self.heads + 1)]


def _regression(depth: Float[Array, "batch height width 1"], target: Float[Array, "batch height width 1"]) -> Scalar:
    return losses.rmse_loss(depth, target, jnp.isfinite(target))
