"""Configurations composed of others: files that load files, and training in stages."""

import importlib.util
import pathlib
from collections.abc import Collection, Mapping

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import differences
from mdepth_jax.training.recipe import settle_config

MAY_DIFFER = ("heads", "pretrained", "start", "output_bias", "output_scale", "dtype")  # keys of `model` among stages


def staged(name: str, stages: Mapping[str, ConfigDict]) -> ConfigDict:
    """Returns the configuration of a sequential training, in which each run starts from the weights of the one before.

    Args:
        name: Name of the training.
        stages: Configurations in order by the names of the stages, which are also those of their run directories.
    """
    return ConfigDict({"name": name, "sequence": tuple(stages), "stages": dict(stages)}).lock()


def runs(config: ConfigDict, workdir: pathlib.Path) -> dict[pathlib.Path, ConfigDict]:
    """Returns the runs of a configuration by their directories, in order.

    Args:
        config: Configuration of one run or of a sequential training. In the latter every run but the first starts from
            the weights of the one before, and the last one bears the name of the training.
        workdir: Path of the run directory.

    Raises:
        UserError: If the stages have different networks; the message names the keys.
    """
    if "sequence" not in config:
        return {workdir: config}
    directories = [workdir / name for name in config.sequence]
    first = config.stages[config.sequence[0]].model
    for name in config.sequence[1:]:
        differing = [key for key in differences(first, config.stages[name].model) if not key.startswith(MAY_DIFFER)]
        if differing:
            raise UserError(
                f"`config.stages.{name}.model` differs from the stage before ({'; '.join(differing[:3])}); all stages "
                "train one network"
            )
    config.stages[config.sequence[-1]].name = config.name
    for before, name in zip(directories, config.sequence[1:], strict=False):
        config.stages[name].model.start = str(before)
    return {directory: config.stages[directory.name] for directory in directories}


def check_runs(runs: Mapping[pathlib.Path, ConfigDict], given: Collection[str] = ()) -> None:
    """Settles and checks the configurations of all runs, see `recipe.settle_config`.

    Args:
        runs: Configurations by their run directories; they are modified.
        given: Dotted names of the keys that were given on the command line.

    Raises:
        UserError: If a configuration has a mistake; the message names the key and, if there are several, the stage.
    """
    for directory, run in runs.items():
        prefix = "" if len(runs) == 1 else f"stages.{directory.name}."
        try:
            settle_config(run, {key.removeprefix(prefix) for key in given if key.startswith(prefix)})
            check_config(run)
        except UserError as error:
            if len(runs) == 1:
                raise
            keys = f"`config.stages.{directory.name}`"
            raise UserError(f"stage {directory.name}, whose keys are below {keys}: {error}") from error


def load_neighbor(file: str, name: str, variant: str = "") -> ConfigDict:
    """Loads another configuration file of the same folder.

    Args:
        file: Path of the file that asks, its `__file__`.
        name: Name of the other file.
        variant: Variant of the other file; empty for its default.
    """
    return load_file(pathlib.Path(file).parent / name, variant)


def load_file(path: str | pathlib.Path, variant: str = "") -> ConfigDict:
    """Calls `get_config(variant)` of a configuration file, as the flag `config` does with FILE:VARIANT.

    Args:
        path: Path of the file.
        variant: Variant of the file; empty for its default.
    """
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant) if variant else module.get_config()
