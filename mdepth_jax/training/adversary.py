"""The discriminator of holistic distillation, trained with the network to separate its depth from the teacher's.

Source: Sec. 3.3 and 4.3.1 of the paper; hinge loss and spectral normalization are those of Liu et al. 2020.
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
    """The part of the discriminator that changes in training.

    Attributes:
        params: Trainable parameters.
        rest: Vectors of the spectral normalization.
        opt_state: State of its own optimizer.
    """

    params: Any
    rest: Any
    opt_state: Any


class Adversary:
    """A discriminator with its optimizer; everything that changes is in `AdversaryState`.

    Args:
        config: Group `discriminator` of the configuration.
        rngs: Seeds of the initialization.

    Attributes:
        start: State at step 0.
    """

    def __init__(self, config: ConfigDict, *, rngs: nnx.Rngs) -> None:
        self.update_every = config.update_every
        self.optimizer = optax.adam(config.learning_rate, b1=0.0)
        parts: tuple[Any, ...] = nnx.split(Discriminator(rngs=rngs), nnx.Param, ...)
        self.graph, params, rest = parts
        self.start = AdversaryState(params, rest, self.optimizer.init(params))

    def generator_loss(self, state: AdversaryState, image: Image, depth: Depth) -> Float[Array, ""]:
        """Computes the network's loss against the discriminator.

        Args:
            state: State of the discriminator.
            image: RGB image, 0 to 255.
            depth: Depth that the network predicts.
        """
        model = nnx.merge(self.graph, state.params, state.rest, copy=True)
        model.eval()
        return losses.hinge_generator_loss(model(image, depth))

    def update(
        self, state: AdversaryState, step: Int[Array, ""], image: Image, real: Depth, fake: Depth
    ) -> AdversaryState:
        """Trains the discriminator in every `update_every`-th step and returns its new state.

        Args:
            state: State before the step.
            step: Number of steps done.
            image: RGB image, 0 to 255.
            real: The teacher's depth. Where it is unknown (NaN) it is replaced by the network's, so that the unknown
                pixels do not reveal which one is real.
            fake: Depth that the network predicts.
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
