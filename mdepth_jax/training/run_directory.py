"""The configuration in a run directory and in the header of a file of weights."""

import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json, write_json
from mdepth_jax.models import Weights
from mdepth_jax.training.config import default, differences, drop_unread

_MAY_DIFFER = ("model.start:", "needs:", "without:")


def bind_to_workdir(config: ConfigDict, workdir: pathlib.Path, *, writes: bool = True) -> None:
    """Writes the configuration into a new run directory, or checks that it is the one written there.

    The weights that the run starts from (`model.start`) may have moved since; what a recipe needs and lacks shows in
    other keys, and was not written by earlier versions.

    Args:
        config: Complete configuration.
        workdir: Path of the run directory.
        writes: Whether this host writes the run directory.

    Raises:
        UserError: If the directory belongs to another configuration; the message names the first keys that differ.
    """
    path = workdir / "config.json"
    if path.exists():
        ours = config.copy_and_resolve_references()
        drop_unread(ours)
        differing = [key for key in differences(ours, load_config(workdir)) if not key.startswith(_MAY_DIFFER)]
        if differing:
            raise UserError(
                f"{workdir} belongs to a run with another configuration ({'; '.join(differing[:3])}); "
                "choose another `workdir`, or give the same configuration to continue that run"
            )
    elif writes:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, config.to_dict())


def load_config(workdir: pathlib.Path) -> ConfigDict:
    """Reads the configuration of a run directory; keys that it lacks get their default.

    Args:
        workdir: Path of the run directory.

    Raises:
        UserError: If there is none, it is not valid JSON, or it has keys that this version does not know.
    """
    path = workdir / "config.json"
    try:
        return complete_config(read_json(path), str(path))
    except FileNotFoundError:
        raise UserError(f"{workdir} is not a run directory: it has no config.json") from None


def complete_config(saved: Mapping[str, Any], where: str) -> ConfigDict:
    """Completes a saved configuration, possibly of an earlier version, by the defaults of the keys that it lacks.

    One without `data.val_share` trained on all images, so that key becomes 0. Values that nothing reads, which earlier
    versions accepted, become the defaults.

    Args:
        saved: Nested dictionaries.
        where: Origin of the configuration, for the message.

    Raises:
        UserError: If it has keys that this version does not know.
    """
    config = default()
    config.data.val_share = 0.0  # earlier versions held nothing out
    try:
        config.update(saved)
    except (KeyError, TypeError) as error:
        raise UserError(f"{where}: written by another version ({error}); use that one") from None
    drop_unread(config)
    return config


def config_of_weights(weights: Weights) -> ConfigDict:
    """Returns the configuration of the run that made a file of weights.

    Args:
        weights: Weights with their header.

    Raises:
        UserError: If the header does not hold it, or it has keys that this version does not know.
    """
    if not weights.header.run.config:
        raise UserError(f"{weights.path}: its header lacks the run's configuration; give a file that a run wrote")
    return complete_config(weights.header.run.config, str(weights.path))
