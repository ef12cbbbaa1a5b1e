"""The optimizers and balancers that a configuration can name."""

import optax
from ml_collections import ConfigDict

from mdepth_jax import optim


def make_schedule(config: ConfigDict, steps_per_epoch: int, epochs: int) -> optax.Schedule:
    """Makes the learning rate over steps: by default the paper's, halved every epoch (Sec. 4.1).

    Args:
        config: The group `optim`.
        steps_per_epoch: Steps of one epoch.
        epochs: Length of the run.
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if config.schedule == "cosine":
        decay = optax.cosine_decay_schedule(config.learning_rate, max(epochs * steps_per_epoch - warmup, 1))
    else:
        steps = max(round(config.decay_every_epochs * steps_per_epoch), 1)
        decay = optax.exponential_decay(config.learning_rate, steps, config.decay_rate, staircase=True)
    ramp = optax.linear_schedule(0.0, config.learning_rate, max(warmup, 1))
    return optax.join_schedules([ramp, decay], [warmup])


def make_optimizer(
    config: ConfigDict, weights: dict[str, float], schedule: optax.Schedule, steps_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """Chains the balancer of the losses with the optimizer.

    Args:
        config: The whole configuration.
        weights: Initial weight of each loss.
        schedule: Learning rate over steps.
        steps_per_epoch: Steps of one epoch.
    """
    update = _make_update(config.optim, weights, schedule)
    return optax.named_chain(("rebalance", make_balancer(config, weights, steps_per_epoch)), ("optimizer", update))


def make_balancer(
    config: ConfigDict, weights: dict[str, float], steps_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """Makes the transformation that moves the weights of the losses; see `make_optimizer` for the arguments."""
    epochs, strength = config.train.epochs, config.rebalance.strength
    strengths = {
        "hard_to_easy": optim.hard_to_easy(epochs, strength),
        "easy_to_hard": optim.easy_to_hard(epochs, strength),
        "constant": strength,
        "off": 0.0,
    }
    return optim.rebalance(
        weights,
        steps_per_epoch=steps_per_epoch,
        events_per_epoch=config.rebalance.events_per_epoch,
        strength=strengths[config.rebalance.order],
        weight_initialization=config.rebalance.weight_initialization,
    )


def _make_update(
    config: ConfigDict, weights: dict[str, float], schedule: optax.Schedule
) -> optax.GradientTransformationExtraArgs:
    if config.optimizer == "mtadam":
        return optim.mtadam(schedule, losses=tuple(weights), ranks=weights)
    if config.optimizer == "sgd":
        decay = optax.add_decayed_weights(config.weight_decay)
        return optax.with_extra_args_support(optax.chain(decay, optax.sgd(schedule, config.momentum)))
    return optax.with_extra_args_support(optax.adam(schedule))
