"""The state of a training run: everything that a step changes and a checkpoint holds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Int

from mdepth_jax.models import DepthNet
from mdepth_jax.training.adversary import Adversary


class TrainState(NamedTuple):
    """Everything that a step changes.

    Attributes:
        step: Number of steps done.
        params: Trainable parameters.
        batch_stats: Running means and variances.
        opt_state: `{"rebalance": RebalanceState, "optimizer": ...}`.
        adversary: `AdversaryState`; empty where there is no discriminator.
    """

    step: Int[Array, ""]
    params: Any
    batch_stats: Any
    opt_state: Any
    adversary: Any = ()


def create_state(
    model: DepthNet, optimizer: optax.GradientTransformation, adversary: Adversary | None = None
) -> tuple[Any, TrainState]:
    """Splits a network into its static graph and its state at step 0.

    Args:
        model: Network; it is put into training mode.
        optimizer: Optimizer of `make_optimizer`.
        adversary: Discriminator of the holistic term; None without that term.

    Returns:
        The graph definition, for `nnx.merge(graph, state.params, state.batch_stats)`, and the state.
    """
    model.train()
    parts: tuple[Any, ...] = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, params, batch_stats = parts
    state = TrainState(jnp.zeros((), jnp.int32), params, batch_stats, optimizer.init(params))
    if adversary is not None:
        state = state._replace(adversary=adversary.start)
    return graph, jax.tree.map(jnp.copy, state)
