"""The discriminator of holistic distillation: told the student's depth from the teacher's, it trains beside them.

Source: Sec. 3.3 and 4.3.1 of the paper; Liu et al. 2020, whose hinge loss and spectral normalisation are taken.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, UInt8
from ml_collections import ConfigDict

from mdepth_jax import losses
from mdepth_jax.models.discriminator import Discriminator

Image = UInt8[Array, "batch height width 3"]
Depth = Float[Array, "batch height width 1"]


class AdversaryState(NamedTuple):
    """What training moves of the discriminator.

    Attributes:
        params: Trainable parameters.
        rest: The vectors of the spectral normalisation.
        opt_state: Of its own optimizer.
    """

    params: Any
    rest: Any
    opt_state: Any


class Adversary:
    """A discriminator with its optimizer; all that changes is in `AdversaryState`.

    Args:
        config: The group `discriminator` of the configuration.
        rngs: Seeds of the initialisation.

    Attributes:
        start: The state at step 0.
    """

    def __init__(self, config: ConfigDict, *, rngs: nnx.Rngs) -> None:
        self.update_every = config.update_every
        self.optimizer = optax.adam(config.learning_rate, b1=0.0)
        parts: tuple[Any, ...] = nnx.split(Discriminator(rngs=rngs), nnx.Param, ...)
        self.graph, params, rest = parts
        self.start = AdversaryState(params, rest, self.optimizer.init(params))

    def generator_loss(self, state: AdversaryState, image: Image, depth: Depth) -> Float[Array, ""]:
        """Computes what the student pays for depth that does not pass as the teacher's."""
        model = nnx.merge(self.graph, state.params, state.rest, copy=True)
        model.eval()
        return losses.hinge_generator_loss(model(image, depth))

    def update(
        self, state: AdversaryState, step: Int[Array, ""], image: Image, real: Depth, fake: Depth
    ) -> AdversaryState:
        """Trains the discriminator in every `update_every`-th step.

        Args:
            state: Before the step.
            step: Number of steps done.
            image: RGB, 0 to 255.
            real: The teacher's depth; where it is unknown (NaN) the student's stands in, which gives nothing away.
            fake: The student's.
        """
        real = jnp.where(jnp.isfinite(real), real, fake)
        due = step % self.update_every == self.update_every - 1
        return lax.cond(due, lambda: self._train(state, image, real, fake), lambda: state)

    def _train(self, state: AdversaryState, image: Image, real: Depth, fake: Depth) -> AdversaryState:
        def loss(params: Any) -> tuple[Float[Array, ""], Any]:
            model = nnx.merge(self.graph, params, state.rest, copy=True)
            scores = model(image, real), model(image, fake)
            return losses.hinge_discriminator_loss(*scores), nnx.state(model, nnx.Not(nnx.Param))

        gradients, rest = jax.grad(loss, has_aux=True)(state.params)
        updates, opt_state = self.optimizer.update(gradients, state.opt_state, state.params)
        return AdversaryState(optax.apply_updates(state.params, updates), rest, opt_state)
