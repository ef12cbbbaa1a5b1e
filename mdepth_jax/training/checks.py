"""Checks of a configuration, made before any work."""

import math

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import lookup
from mdepth_jax.training.optimizers import OPTIMIZERS
from mdepth_jax.training.terms import parse_terms

CHOICES = {
    "data.source": ("scenes", "folder"),
    "data.eval_crop": ("none", "eigen"),
    "data.crop": ("none", "center", "random"),
    "rebalance.order": ("hard_to_easy", "easy_to_hard", "constant", "off"),
    "optim.optimizer": ("adam", "sgd", "mtadam"),
    "optim.schedule": ("staircase", "cosine"),
    "train.best_by": ("whdr", "rmse", "si_rmse"),
}
RANGES = {
    "data.sampled_pairs": (0, math.inf), "data.pairs": (0, math.inf), "data.rotation": (0, 180),
    "data.scale": (1, math.inf), "data.jitter": (0, 1), "data.log": (0, math.inf),
    "loss.drop_easy": (0, 1), "loss.pool_scale": (0, 1), "optim.momentum": (0, 1), "optim.weight_decay": (0, math.inf),
}  # fmt: skip
POSITIVE = (
    "data.depth_scale", "data.map_scale",
    "data.height", "data.width", "data.batch_size", "data.eval_pairs",
    "optim.learning_rate", "rebalance.events_per_epoch",
    "train.epochs", "train.log_every", "train.evaluations_per_epoch", "discriminator.update_every",
)  # fmt: skip


def check_config(config: ConfigDict) -> None:
    """Refuses values that no run can have.

    Raises:
        UserError: Naming the key and the way out.
    """
    for key, choices in CHOICES.items():
        if lookup(config, key) not in choices:
            given = lookup(config, key)
            raise UserError(f"config.{key} is {given!r}; choose one of {', '.join(map(repr, choices))}")
    for key in POSITIVE:
        if not lookup(config, key) > 0:
            raise UserError(f"config.{key} is {lookup(config, key)}; it must be positive")
    for key, (low, high) in RANGES.items():
        if not low <= lookup(config, key) <= high:
            raise UserError(f"config.{key} is {lookup(config, key)}; it must lie between {low} and {high}")
    if config.loss.drop_easy == 1:
        raise UserError("config.loss.drop_easy is 1.0, which leaves no pair to learn from; give less")
    if any(weight < 0 for weight in config.loss.weights.values()):
        raise UserError("config.loss.weights: a weight is negative; give 0 or more")
    if config.data.source == "folder" and not config.data.root:
        raise UserError("config.data.root is empty; name the folder of your data: --config.data.root=DIR")
    if config.data.source == "scenes" and min(config.data.count, config.data.eval_count) <= 0:
        raise UserError("config.data.count and config.data.eval_count say how many scenes; both must be positive")
    name = config.optim.optimizer
    optimizer = OPTIMIZERS[name]
    if optimizer.balances_losses and config.rebalance.order != "off":
        raise UserError(
            f"`config.optim.optimizer` is {name!r}, which balances the losses; set `config.rebalance.order=off`"
        )
    if config.optim.weight_decay and not optimizer.has_weight_decay:
        raise UserError(
            f"`config.optim.weight_decay` is {config.optim.weight_decay}, but {name!r} has none; "
            "set `config.optim.weight_decay=0.0`"
        )
    for term in parse_terms(config.loss.terms):
        if term.can_be_negative and config.rebalance.order != "off":
            raise UserError(
                f"`config.loss.terms`: {term.name!r} can be negative, and rebalancing cannot weigh it; "
                "set `config.rebalance.order=off`"
            )
        if term.log not in (None, config.data.log):
            raise UserError(
                f"`config.loss.terms`: {term.name!r} compares logarithms of depth; set `config.data.log={term.log}`"
            )
