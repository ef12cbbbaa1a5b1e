"""What a network comes from and what its depth means, as the header of its weights tells it."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.training import config as configuration

UNIT_TERMS = {"dense", "l1"}  # losses that no factor on the prediction leaves as they are


def has_unit(config: ConfigDict) -> bool:
    """Tells whether a run's losses teach the unit of its depth maps."""
    return not UNIT_TERMS.isdisjoint(config.loss.terms.split("+"))


def describe_depth(config: ConfigDict) -> str:
    """Tells what the depth of a run's network means: its sign and its unit."""
    if has_unit(config):
        return "depth in the unit of the depth maps of its training, larger = farther"
    return "relative depth, larger = farther: no unit, no fixed range, not metres and not disparity"


def describe_output(config: ConfigDict) -> str:
    """Tells what a run's network gives: depth, or a factor times its logarithm."""
    log = config.data.log
    return describe_depth(config) + (f"; {log:g} times its natural logarithm" if log else "")


def lineage(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lists the runs that the weights of a file have been through, for the header of a run that goes on with them.

    Args:
        about: What the file's header tells, see `models.weights.load_weights`.

    Returns:
        Of every run what is known of its `command` and its `config`, the first run first, that of the file last.
    """
    return [*about.get("earlier", []), {key: about[key] for key in ("command", "config") if key in about}]


def configs_of(about: Mapping[str, Any]) -> list[ConfigDict]:
    """Gives the configurations of the runs of `lineage`.

    Raises:
        UserError: As `training.config.complete`.
    """
    runs = [run for run in lineage(about) if "config" in run]
    return [configuration.complete(run["config"], "the header of the weights") for run in runs]
