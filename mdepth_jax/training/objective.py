"""The training objective: the terms of Eq. 5, each over all predictions as in Eq. 4 (Sec. 3.3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ml_collections import ConfigDict

from mdepth_jax import losses
from mdepth_jax.data.types import Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthOutputs
from mdepth_jax.training.terms import Batch, Depth, Scalar, Term, TermOptions, resolve_terms


@dataclass(frozen=True)
class Objective:
    """Computes the named losses of one batch.

    Attributes:
        terms: Terms of the run.
        heads: Number of intermediate predictions.
        options: Options of the terms.
        fixed_intermediate: True for one loss per term with the fixed weights of Eq. 4 ("FIP"); False for one loss per
            term and prediction, which the balancer weighs.
    """

    terms: tuple[Term, ...]
    heads: int
    options: TermOptions = field(default_factory=TermOptions)
    fixed_intermediate: bool = True

    @property
    def needs_discriminator(self) -> bool:
        """Whether a term needs the discriminator."""
        return any(term.needs_discriminator for term in self.terms)

    def initial_weights(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Spreads the weights of the terms over the losses, scaled to sum to one."""
        spread = {
            name: weights[term.name] / len(names)
            for term in self.terms
            for names in [self._loss_names(term)]
            for name in names
        }
        total = sum(spread.values())
        return {name: weight / total for name, weight in spread.items()}

    def __call__(
        self, outputs: DepthOutputs, batch: Batch, discriminator_loss: Callable[[Depth], Scalar] | None = None
    ) -> dict[str, Scalar]:
        """Computes every loss.

        Args:
            outputs: Outputs of the network in training mode.
            batch: Arrays of `mdepth_jax.data.types.Batch` (training), with `teacher_depth` `[B, H, W, 1]` and
                `teacher_features` `[B, h, w, C]` where the terms need them.
            discriminator_loss: Loss of a prediction by the discriminator; required by terms that need one.

        Returns:
            Losses by name, one for each weight of `initial_weights`.
        """
        predictions = (outputs.depth, *outputs.auxiliary)
        result: dict[str, Scalar] = {}
        for term in self.terms:
            if term.loss is not None:
                values = [term.loss(depth, batch, self.options) for depth in predictions]
                if self.fixed_intermediate:
                    values = [losses.auxiliary_loss(values, losses.auxiliary_weights(self.heads))]
                result |= zip(self._loss_names(term), values, strict=True)
            elif term.feature_loss is not None:
                result[term.name] = term.feature_loss(outputs.features, batch, self.options)
            else:
                assert discriminator_loss is not None, term.name
                result[term.name] = discriminator_loss(outputs.depth)
        return result

    def _loss_names(self, term: Term) -> list[str]:
        if term.loss is None or self.fixed_intermediate or not self.heads:
            return [term.name]
        return [f"{term.name}_{index}" for index in range(self.heads + 1)]


def make_objective(config: ConfigDict, supervision: Supervision) -> Objective:
    """Builds the objective of a configuration.

    Args:
        config: Complete configuration.
        supervision: What the data and the teacher provide.

    Raises:
        UserError: If a term does not exist or lacks its supervision, or if no term has a weight.
    """
    terms = resolve_terms(config.loss.terms, supervision)
    if not any(config.loss.weights[term.name] for term in terms):
        names = ", ".join(term.name for term in terms)
        raise UserError(f"`config.loss.weights`: those of {names} are 0; give one of them more")
    return Objective(
        terms,
        heads=config.model.heads,
        options=TermOptions(pool_scale=config.loss.pool_scale, drop_easy=config.loss.drop_easy, trim=config.loss.trim),
        fixed_intermediate=config.rebalance.fixed_intermediate,
    )
