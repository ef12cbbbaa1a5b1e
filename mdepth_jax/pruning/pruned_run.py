"""A pruned network as an ordinary run directory."""

import dataclasses
import pathlib
from collections.abc import Sequence

from ml_collections import ConfigDict

from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.files import write_json
from mdepth_jax.models import DepthNet, Header, TrainingRun
from mdepth_jax.models.weights import save_weights
from mdepth_jax.models.widths import describe
from mdepth_jax.training import environment
from mdepth_jax.training.provenance import describe_output

SUFFIX = "_pruned"  # of the name of the run


def save_pruned_run(
    workdir: pathlib.Path,
    model: DepthNet,
    *,
    config: ConfigDict,
    earlier: Sequence[TrainingRun],
    data_sets: tuple[DataSetInfo, ...] = (),
    scores: Header | None = None,
) -> None:
    """Writes a pruned network as a run: `model.safetensors` and `config.json`.

    Args:
        workdir: Run directory.
        model: Narrower network.
        config: Configuration of the run that was pruned; it is not modified.
        earlier: Runs that the weights have been through, the first one first.
        data_sets: Data sets of the training, each named; empty if unknown.
        scores: Header with the scores of the network on the validation set; None if they are unknown.
    """
    config = config.copy_and_resolve_references()
    config.name = config.name.removesuffix(SUFFIX) + SUFFIX
    config.model.update({"heads": 0, "widths": describe(model), "pretrained": "", "start": ""})
    header = dataclasses.replace(
        scores or Header(),
        run=TrainingRun(environment.command(), config.to_dict(), data_sets),
        earlier=tuple(earlier),
        output=describe_output(config),
    )
    save_weights(workdir / "model.safetensors", model, config.model, header)
    write_json(workdir / "config.json", config.to_dict())
