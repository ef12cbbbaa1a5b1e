"""The tables of optimizers and of orders of rebalancing, and the transformation that a configuration makes of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import optax
from ml_collections import ConfigDict

from mdepth_jax import optim

Weights = Mapping[str, float]


@dataclass(frozen=True)
class Optimizer:
    """An optimizer.

    Attributes:
        build: Function of the group `optim`, the initial weights of the losses and the learning rate over steps.
        takes_loss_gradients: Whether its update takes the gradient of each loss, `loss_gradients={name: gradient}`.
        balances_losses: Whether it weighs the losses itself, so that rebalancing must be off.
        reads: Names of the keys of the group `optim` that it alone reads.
    """

    build: Callable[[ConfigDict, Weights, optax.Schedule], optax.GradientTransformation]
    takes_loss_gradients: bool = False
    balances_losses: bool = False
    reads: tuple[str, ...] = ()


def _adam(config: ConfigDict, weights: Weights, schedule: optax.Schedule) -> optax.GradientTransformation:
    return optax.adam(schedule)


def _sgd(config: ConfigDict, weights: Weights, schedule: optax.Schedule) -> optax.GradientTransformation:
    decay = optax.add_decayed_weights(config.weight_decay)
    return optax.chain(decay, optax.sgd(schedule, config.momentum))


def _mtadam(config: ConfigDict, weights: Weights, schedule: optax.Schedule) -> optax.GradientTransformation:
    return optim.mtadam(schedule, losses=tuple(weights), ranks=weights)


OPTIMIZERS: Mapping[str, Optimizer] = {
    "adam": Optimizer(_adam),
    "sgd": Optimizer(_sgd, reads=("momentum", "weight_decay")),
    "mtadam": Optimizer(_mtadam, takes_loss_gradients=True, balances_losses=True),
}

ORDERS: Mapping[str, Callable[[int, float], float | optax.Schedule]] = {
    "hard_to_easy": optim.hard_to_easy,
    "easy_to_hard": optim.easy_to_hard,
    "constant": lambda epochs, strength: strength,
    "off": lambda epochs, strength: 0.0,
}
"""Strength of rebalancing over epochs by `config.rebalance.order`: from the epochs and the largest strength."""


def _staircase(config: ConfigDict, steps_per_epoch: int, decay_steps: int) -> optax.Schedule:
    steps = max(round(config.decay_every_epochs * steps_per_epoch), 1)
    return optax.exponential_decay(config.learning_rate, steps, config.decay_rate, staircase=True)


def _cosine(config: ConfigDict, steps_per_epoch: int, decay_steps: int) -> optax.Schedule:
    return optax.cosine_decay_schedule(config.learning_rate, decay_steps)


SCHEDULES: Mapping[str, Callable[[ConfigDict, int, int], optax.Schedule]] = {"staircase": _staircase, "cosine": _cosine}
"""Learning rate after the warm-up, from the group `optim`, the steps of an epoch and the steps that are left."""


def make_schedule(config: ConfigDict, steps_per_epoch: int, epochs: int) -> optax.Schedule:
    """Builds the learning rate over steps; the default is the paper's, halved every epoch (Sec. 4.1).

    Args:
        config: Group `optim` of the configuration.
        steps_per_epoch: Number of steps of one epoch.
        epochs: Length of the run.
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    decay = SCHEDULES[config.schedule](config, steps_per_epoch, max(epochs * steps_per_epoch - warmup, 1))
    ramp = optax.linear_schedule(0.0, config.learning_rate, max(warmup, 1))
    return optax.join_schedules([ramp, decay], [warmup])


def make_optimizer(
    config: ConfigDict, weights: Weights, schedule: optax.Schedule, steps_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """Chains the balancer of the losses with the optimizer.

    Args:
        config: Complete configuration.
        weights: Initial weights of the losses by name.
        schedule: Learning rate over steps.
        steps_per_epoch: Number of steps of one epoch.

    Returns:
        A transformation with the state `{"rebalance": RebalanceState, "optimizer": ...}`.
    """
    update = optax.with_extra_args_support(OPTIMIZERS[config.optim.optimizer].build(config.optim, weights, schedule))
    return optax.named_chain(("rebalance", make_balancer(config, weights, steps_per_epoch)), ("optimizer", update))


def make_balancer(config: ConfigDict, weights: Weights, steps_per_epoch: int) -> optax.GradientTransformationExtraArgs:
    """Builds the transformation that moves the weights of the losses (Sec. 3.3, Loss Rebalancing).

    Args:
        config: Complete configuration.
        weights: Initial weights of the losses by name.
        steps_per_epoch: Number of steps of one epoch.
    """
    return optim.rebalance(
        weights,
        steps_per_epoch=steps_per_epoch,
        events_per_epoch=config.rebalance.events_per_epoch,
        strength=ORDERS[config.rebalance.order](config.train.epochs, config.rebalance.strength),
        weight_initialization=config.rebalance.weight_initialization,
    )
