"""The origin of a network and the meaning of its depth, as the header of its weights states them."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from mdepth_jax.models import TrainingRun
from mdepth_jax.training.run_directory import complete_config
from mdepth_jax.training.terms import parse_terms


def has_unit(config: ConfigDict) -> bool:
    """Returns whether the loss terms of a run fix the unit of its depth to that of its depth maps."""
    return any(term.has_unit for term in parse_terms(config.loss.terms))


def describe_depth(config: ConfigDict) -> str:
    """Describes the depth of a run's network: its sign and its unit."""
    if has_unit(config):
        return "depth in the unit of the depth maps of its training, larger = farther"
    return "relative depth, larger = farther: no unit, no fixed range, not meters and not disparity"


def describe_output(config: ConfigDict) -> str:
    """Describes the output of a run's network: depth, or a factor times its logarithm."""
    log = config.data.log
    return describe_depth(config) + (f"; {log:g} times its natural logarithm" if log else "")


def configs_of(runs: Iterable[TrainingRun]) -> list[ConfigDict]:
    """Returns the configurations of runs, without those that are unknown.

    Raises:
        UserError: If a configuration has keys that this version does not know.
    """
    return [complete_config(run.config, "the header of the weights") for run in runs if run.config]
