"""Checks of a configuration, made before any work."""

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.keys import check_values
from mdepth_jax.training.config import check_read
from mdepth_jax.training.optimizers import OPTIMIZERS
from mdepth_jax.training.recipe import check_recipe
from mdepth_jax.training.schema import KEYS
from mdepth_jax.training.terms import parse_terms


def check_config(config: ConfigDict) -> None:
    """Checks every key by itself, and those that depend on one another.

    Args:
        config: Complete configuration.

    Raises:
        UserError: If no run can have these values; the message names the key and the way out.
    """
    check_values(KEYS, config)
    _check_data(config.data)
    _check_terms(config)
    _check_optimizer(config)
    check_recipe(config)
    check_read(config)


def _check_data(data: ConfigDict) -> None:
    if data.source == "folder" and not data.root:
        raise UserError("`config.data.root` is empty; name the folder of your data: `config.data.root=DIR`")
    if data.source == "scenes" and not (data.count and data.eval_count):
        raise UserError("`config.data.count` and `config.data.eval_count` say how many scenes; both must be positive")
    if data.val and data.val in (data.train, data.eval):
        raise UserError(
            f"`config.data.val` is {data.val!r}, which the run is also trained or tested on; name another split, or "
            "leave it empty to hold out a part of the training images"
        )


def _check_terms(config: ConfigDict) -> None:
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


def _check_optimizer(config: ConfigDict) -> None:
    name = config.optim.optimizer
    optimizer = OPTIMIZERS[name]
    if optimizer.balances_losses and config.rebalance.order != "off":
        raise UserError(
            f"`config.optim.optimizer` is {name!r}, which balances the losses; set `config.rebalance.order=off`"
        )
