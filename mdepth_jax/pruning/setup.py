"""From a trained run to the search that prunes it, or to the pruned run at once."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.data.loading import open_data
from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json, write_json
from mdepth_jax.models import load_weights
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.pruning import netadapt, summary, surgery
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.pruning.pruned_run import save_pruned_run
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.search import Search
from mdepth_jax.pruning.short_term import ShortTermTrainer
from mdepth_jax.pruning.task import PruningTask
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import differences, override
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.recipe import settle_config
from mdepth_jax.training.run_directory import config_of_weights
from mdepth_jax.training.teacher import open_teacher
from mdepth_jax.training.terms import parse_terms, wanted_maps


def load_task(
    weights: pathlib.Path,
    *,
    resource: str,
    settings: Settings,
    overrides: Mapping[str, Any] | None = None,
    latency_table: pathlib.Path | None = None,
) -> PruningTask:
    """Loads a run to prune, and checks that its network can meet the resource budget.

    Args:
        weights: Path of a run or of its weights, see `models.weights.find_weights`.
        resource: Key of `resources.FORMATS`.
        settings: Settings of the search, with the resource budget.
        overrides: Keys of the run's configuration to replace, with their values; those of the
            validation set for the search alone.
        latency_table: Path of the latency table, see `resources.make_resource`.

    Raises:
        UserError: If the run, a key of its configuration, the budget or the table is invalid.
    """
    loaded = load_weights(weights)
    config = config_of_weights(loaded)
    root, validation = config.data.root, {key: config.data[key] for key in ("val", "val_share", "val_seed")}
    for key, value in (overrides or {}).items():
        override(config, key, value)
    if config.model.heads:
        print(f"{weights} was trained with {config.model.heads} intermediate heads; they are dropped")
    config.model.update(loaded.config.to_dict() | {"dtype": config.model.dtype})
    settle_config(config, overrides or {}, {"model.heads", "model.decoder"})
    check_config(config)
    run_config = config.copy_and_resolve_references()
    run_config.data.update(validation)
    structure = find_structure(loaded.model, config.data.height, config.data.width)
    task = PruningTask(
        model=loaded.model,
        header=loaded.header,
        run_config=run_config,
        config=config,
        structure=structure,
        resource=make_resource(resource, structure, latency_table),
        settings=settings,
        data_sets=loaded.header.run.data if config.data.root == root else (),
    )
    netadapt.check_budget(structure, task.resource, settings)
    return task


def make_search(task: PruningTask, workdir: pathlib.Path, flags: Mapping[str, str]) -> Search:
    """Creates a search, or the one that continues what the directory holds.

    Args:
        task: Network to prune and how to search; the discriminator's term is left out of the search.
        workdir: Directory of the pruned run.
        flags: Description of the search by name, written into the directory; a resumed search has the same.

    Raises:
        UserError: If the run's data cannot be read or lack what its losses need, or the directory belongs to another
            search.
    """
    config = task.config.copy_and_resolve_references()
    terms = parse_terms(config.loss.terms)
    if left_out := [term.name for term in terms if term.needs_discriminator]:
        print(f"The discriminator stays out of the search: its proposals are trained without {', '.join(left_out)}")
        config.loss.terms = "+".join(term.name for term in terms if term.name not in left_out)
        settle_config(config, changed={"loss.terms"})
        check_config(config)
    data, supervision = open_data(config, wanted_maps(config))
    objective = make_objective(config, supervision)
    teacher = open_teacher(config)
    bind_search_to_workdir(workdir, flags, config)
    task = dataclasses.replace(task, config=config, data_sets=data.train_sets)
    trainer = ShortTermTrainer(task, objective=objective, data=data, teacher=teacher)
    return Search(task=task, trainer=trainer, workdir=workdir)


def prune_in_one_shot(task: PruningTask, workdir: pathlib.Path, flags: Mapping[str, str]) -> str:
    """Prunes without a search: the same share of every group, see `netadapt.prune_evenly`; the result has no scores.

    Args:
        task: Network to prune and resource budget.
        workdir: Directory of the pruned run.
        flags: Description of the pruning by name, see `make_search`.

    Returns:
        The summary, also written into the directory.

    Raises:
        UserError: If the directory belongs to another search.
    """
    bind_search_to_workdir(workdir, flags, task.config)
    kept = netadapt.prune_evenly(task.structure, named_tensors(task.model), task.resource, task.settings)
    smaller = surgery.remove_channels(task.model, task.structure, kept)
    save_pruned_run(workdir, smaller, config=task.run_config, earlier=task.header.lineage, data_sets=task.data_sets)
    return summary.write_one_shot_summary(task, workdir, kept)


def bind_search_to_workdir(workdir: pathlib.Path, flags: Mapping[str, str], config: ConfigDict) -> None:
    """Writes the description of a search into a new directory, or checks that it is the one written there.

    Args:
        workdir: Directory of the pruned run.
        flags: Description of the search by name.
        config: Configuration of the search.

    Raises:
        UserError: If the directory belongs to a training run or to another search, naming the first keys that differ.
    """
    ours = {"flags": dict(flags), "config": config.to_dict()}
    path = workdir / "search.json"
    if path.exists():
        theirs = ConfigDict(read_json(path))
        if differing := differences(ConfigDict(json.loads(json.dumps(ours))), theirs):
            raise UserError(
                f"{workdir} belongs to another search ({'; '.join(differing[:3])}); choose another `workdir`, or "
                "give the same flags to continue that search"
            )
    elif (workdir / "config.json").exists():
        raise UserError(f"{workdir} holds a run already; choose another `workdir`")
    else:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, ours)
