"""A pruning task: the network and its resource budget."""

from dataclasses import dataclass

from ml_collections import ConfigDict

from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.models import DepthNet, Header
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.pruning.resources import Resource


@dataclass(frozen=True, kw_only=True)
class PruningTask:
    """A network to prune, the resource to save, and how to search.

    Attributes:
        model: Network without intermediate heads.
        header: Header of its weights.
        run_config: Configuration of the pruned run: that of the run that made the network.
        config: Configuration of the search, which may score proposals on other data than `run_config`.
        structure: Structure of the network.
        resource: Resource to save.
        settings: Settings of the search, with the resource budget.
        data_sets: Data sets of the training of the run, each named; empty if unknown.
    """

    model: DepthNet
    header: Header
    run_config: ConfigDict
    config: ConfigDict
    structure: Structure
    resource: Resource
    settings: Settings
    data_sets: tuple[DataSetInfo, ...] = ()
