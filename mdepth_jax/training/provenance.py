"""What a network comes from and what its depth means, as the header of its weights tells it."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from mdepth_jax.models import TrainingRun
from mdepth_jax.training.run_directory import complete_config

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


def configs_of(runs: Iterable[TrainingRun]) -> list[ConfigDict]:
    """Returns the configurations of runs, but for those that are unknown.

    Raises:
        UserError: If a configuration has keys that this version does not know.
    """
    return [complete_config(run.config, "the header of the weights") for run in runs if run.config]
