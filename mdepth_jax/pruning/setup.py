"""From a trained run to the search that prunes it, or to the pruned run at once."""

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
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.search import Search, Subject, write_run
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import differences, override
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.run_directory import config_of_weights
from mdepth_jax.training.teacher import open_teacher
from mdepth_jax.training.terms import parse_terms, wanted_maps


def open_run(
    weights: pathlib.Path,
    overrides: Mapping[str, Any],
    resource: str,
    settings: Settings,
    latency_table: pathlib.Path | None = None,
) -> Subject:
    """Reads a run, and checks that it can be pruned to the target.

    Args:
        weights: As in `models.weights.find_weights`.
        overrides: Keys of its configuration to replace; `data.eval` for the search alone.
        resource: A key of `resources.FORMATS`.
        settings: Of the search.
        latency_table: See `make_resource`.

    Raises:
        UserError: If the run, a key of its configuration, the target or the table will not do.
    """
    loaded = load_weights(weights)
    config = config_of_weights(loaded)
    held_out = config.data.eval
    for key, value in overrides.items():
        override(config, key, value)
    if config.model.heads:
        print(f"{weights} was trained with {config.model.heads} intermediate heads; they are dropped")
    config.model.update(loaded.config.to_dict() | {"dtype": config.model.dtype})
    check_config(config)
    run_config = config.copy_and_resolve_references()
    run_config.data.eval = held_out
    structure = find_structure(loaded.model, config.data.height, config.data.width)
    saved = make_resource(resource, structure, latency_table)
    netadapt.check_target(structure, saved, settings)
    return Subject(loaded.model, loaded.header, run_config, config, structure, saved, settings)


def make_search(subject: Subject, workdir: pathlib.Path, flags: Mapping[str, str]) -> Search:
    """Makes a search, or the one that goes on with what the directory holds.

    Args:
        subject: What to prune.
        workdir: Of the pruned run.
        flags: What the search was asked for, written into the directory.

    Raises:
        UserError: If the run's data will not do, or the directory is another search's.
    """
    config = subject.config.copy_and_resolve_references()
    terms = parse_terms(config.loss.terms)
    if left_out := [term.name for term in terms if term.needs_discriminator]:
        print(f"The discriminator stays out of the search: its proposals are trained without {', '.join(left_out)}")
        config.loss.terms = "+".join(term.name for term in terms if term.name not in left_out)
        check_config(config)
    data, supervision = open_data(config, wanted_maps(config))
    objective = make_objective(config, supervision)
    teacher = open_teacher(config)
    bind_to_workdir(workdir, flags, config)
    return Search(subject._replace(config=config), objective, data, teacher, workdir)


def cut_at_once(subject: Subject, workdir: pathlib.Path, flags: Mapping[str, str]) -> str:
    """Prunes without a search, and gives the text for the user; the network is not scored.

    Args:
        subject: What to prune.
        workdir: Of the pruned run.
        flags: As for `make_search`.

    Raises:
        UserError: If the directory is another search's.
    """
    model, header, run_config, config, structure, resource, settings = subject
    bind_to_workdir(workdir, flags, config)
    kept = netadapt.same_share(structure, named_tensors(model), resource, settings.target, settings.divisor)
    write_run(workdir, surgery.cut(model, structure, kept), run_config, header.lineage)
    return summary.write_cut(workdir, structure, resource, kept, run_config, header.lineage)


def bind_to_workdir(workdir: pathlib.Path, flags: Mapping[str, str], config: ConfigDict) -> None:
    """Writes what is searched into a new directory, or checks that it is what the directory was made with.

    Raises:
        UserError: If it belongs to a training run or to another search, naming the first keys that differ.
    """
    ours = {"flags": dict(flags), "config": config.to_dict()}
    path = workdir / "search.json"
    if path.exists():
        theirs = ConfigDict(read_json(path))
        if differing := differences(ConfigDict(json.loads(json.dumps(ours))), theirs):
            raise UserError(
                f"{workdir} belongs to another search ({'; '.join(differing[:3])}); choose another --workdir, or "
                "give the same flags to continue that search"
            )
    elif (workdir / "config.json").exists():
        raise UserError(f"{workdir} holds a run already; choose another --workdir")
    else:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, ours)
