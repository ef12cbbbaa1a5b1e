"""The training objective: the terms of Eq. 5, each over all predictions as in Eq. 4."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict

from mdepth_jax import losses
from mdepth_jax.data.types import Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthOutputs

Scalar = Float[Array, ""]
Depth = Float[Array, "batch height width 1"]


class Term(NamedTuple):
    """A kind of loss.

    Attributes:
        supervision: The field of `Supervision` that it learns from.
        need: What a user gives to have it.
        loss: Of one prediction and the batch; None for a term that does not look at single predictions.
    """

    supervision: str
    need: str
    loss: Callable[[Depth, Mapping[str, Any]], Scalar] | None


_TEACHER = "a teacher: --config.teacher.maps=True or --config.teacher.run=DIR"
_FEATURES = "a teacher with features (cached maps have none): --config.teacher.run=DIR"
_PAIRS = "ordinal pairs: a pairs CSV, or --config.data.sampled_pairs=N of depth maps"
_DEPTH = "depth maps: a folder depth/ beside images/"


def make_terms(drop_easy: float = 0.0) -> dict[str, Term]:
    """Gives every kind of loss by its name in `config.loss.terms`.

    Args:
        drop_easy: Of `losses.improved_ranking_loss`.
    """
    return {
        "ranking": Term("pairs", _PAIRS, lambda depth, batch: losses.ranking_loss(depth, *_pairs(batch))),
        "improved_ranking": Term(
            "pairs",
            _PAIRS,
            lambda depth, batch: losses.improved_ranking_loss(depth, *_pairs(batch), drop_easy=drop_easy),
        ),
        "pixelwise": Term(
            "teacher_depth", _TEACHER, lambda depth, batch: losses.rmse_loss(depth, *_known(batch["teacher_depth"]))
        ),
        "pairwise": Term("teacher_features", _FEATURES, None),
        "holistic": Term("teacher_depth", _TEACHER, None),
        "dense": Term("depth", _DEPTH, lambda depth, batch: losses.rmse_loss(depth, *_known(batch["depth"]))),
        "l1": Term("depth", _DEPTH, lambda depth, batch: losses.l1_loss(depth, *_known(batch["depth"]))),
        "mannequin": Term("depth", _DEPTH, _mannequin),
    }


AUTOMATIC = ("ranking", "pixelwise", "pairwise")


def _pairs(batch: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return batch["points"], batch["relation"], batch["valid"]


def _known(target: Depth) -> tuple[Depth, Bool[Array, "batch height width 1"]]:
    return target, jnp.isfinite(target)


def _mannequin(depth: Depth, batch: Mapping[str, Any]) -> Scalar:
    target, known = _known(batch["depth"])
    return losses.mannequin_loss(depth, target, batch["image"].astype(jnp.float32) / 255, known)


def resolve_terms(terms: str, supervision: Supervision) -> tuple[str, ...]:
    """Reads `config.loss.terms`.

    Args:
        terms: Names joined by "+", or "auto" for ranking and all that the teacher allows.
        supervision: What the data and the teacher give.

    Raises:
        UserError: For an unknown term, or one that lacks what it needs.
    """
    kinds = make_terms()
    if terms == "auto":
        found = tuple(name for name in AUTOMATIC if getattr(supervision, kinds[name].supervision))
        if not found:
            raise UserError("config.loss.terms: there are neither pairs nor a teacher; name a term, such as 'dense'")
        return found
    names = tuple(terms.split("+"))
    for name in names:
        if name not in kinds:
            raise UserError(f"config.loss.terms: {name!r} is no term; choose from {', '.join(kinds)}, joined by +")
        if not getattr(supervision, kinds[name].supervision):
            raise UserError(f"config.loss.terms: {name!r} needs {kinds[name].need}")
    return names


class Objective:
    """Computes the named losses of one batch.

    Args:
        terms: Names of `make_terms`.
        heads: Number of intermediate predictions.
        pool_scale: Of `losses.pairwise_loss`.
        drop_easy: Of `losses.improved_ranking_loss`.
        fixed_intermediate: True for one loss per term with the fixed weights of Eq. 4 ("FIP"); False for one loss per
            term and prediction, for the balancer to weigh.
    """

    def __init__(
        self,
        terms: tuple[str, ...],
        *,
        heads: int,
        pool_scale: float = 0.5,
        drop_easy: float = 0.0,
        fixed_intermediate: bool = True,
    ) -> None:
        kinds = make_terms(drop_easy)
        self.terms = {name: kinds[name].loss for name in terms}
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

    def __call__(
        self,
        outputs: DepthOutputs,
        batch: Mapping[str, Any],
        holistic: Callable[[Depth], Scalar] | None = None,
    ) -> dict[str, Scalar]:
        """Computes every loss.

        Args:
            outputs: The network's, in training mode.
            batch: As `mdepth_jax.data.types.Batch` (training), with `teacher_depth` `[B, H, W, 1]` and
                `teacher_features` `[B, h, w, C]` where the terms need them.
            holistic: What the discriminator makes of a prediction; needed by the term of that name.

        Returns:
            Losses by name, one for each weight of `initial_weights`.
        """
        predictions = (outputs.depth, *outputs.auxiliary)
        result: dict[str, Scalar] = {}
        for term, loss in self.terms.items():
            if term == "pairwise":
                features = batch["teacher_features"]
                result[term] = losses.pairwise_loss(outputs.features, features, pool_scale=self.pool_scale)
            elif loss is None:
                assert holistic is not None
                result[term] = holistic(outputs.depth)
            else:
                values = [loss(depth, batch) for depth in predictions]
                if self.fixed_intermediate:
                    values = [losses.auxiliary_loss(values, losses.auxiliary_weights(self.heads))]
                result |= zip(self._names(term), values, strict=True)
        return result

    def _names(self, term: str) -> list[str]:
        if self.terms[term] is None or self.fixed_intermediate or not self.heads:
            return [term]
        return [f"{term}_{index}" for index in range(self.heads + 1)]


def make_objective(config: ConfigDict, supervision: Supervision) -> Objective:
    """Makes the objective of a configuration.

    Args:
        config: The whole configuration.
        supervision: What the data and the teacher give.

    Raises:
        UserError: As `resolve_terms`, or if no term has a weight.
    """
    terms = resolve_terms(config.loss.terms, supervision)
    if not any(config.loss.weights[term] for term in terms):
        raise UserError(f"config.loss.weights: those of {', '.join(terms)} are 0; give one of them more")
    return Objective(
        terms,
        heads=config.model.heads,
        pool_scale=config.loss.pool_scale,
        drop_easy=config.loss.drop_easy,
        fixed_intermediate=config.rebalance.fixed_intermediate,
    )
