"""Configurations made of others: files that load files, and trainings in stages."""

import importlib.util
import pathlib
from collections.abc import Mapping

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import differences

MAY_DIFFER = ("heads", "pretrained", "start", "output_bias", "output_scale", "dtype")  # keys of `model` among stages


def staged(name: str, stages: Mapping[str, ConfigDict]) -> ConfigDict:
    """Gives the configuration of a sequential training: whole configurations, run in order, each from the last's end.

    Args:
        name: Of the whole.
        stages: Configurations by the name of the stage, which is also that of its run directory in the whole's.
    """
    return ConfigDict({"name": name, "sequence": tuple(stages), "stages": dict(stages)}).lock()


def runs(config: ConfigDict, workdir: pathlib.Path) -> dict[pathlib.Path, ConfigDict]:
    """Gives the runs that a configuration asks for by their directories, in order.

    Args:
        config: Of one run, or of `staged`: then every run but the first starts from the weights of the one before, and
            the last one bears the name of the whole.
        workdir: Of the whole.

    Raises:
        UserError: If the stages have different networks, naming the keys.
    """
    if "sequence" not in config:
        return {workdir: config}
    directories = [workdir / name for name in config.sequence]
    first = config.stages[config.sequence[0]].model
    for name in config.sequence[1:]:
        differing = [key for key in differences(first, config.stages[name].model) if not key.startswith(MAY_DIFFER)]
        if differing:
            raise UserError(
                f"config.stages.{name}.model differs from the stage before ({'; '.join(differing[:3])}); all stages "
                "train one network"
            )
    config.stages[config.sequence[-1]].name = config.name
    for before, name in zip(directories, config.sequence[1:], strict=False):
        config.stages[name].model.start = str(before)
    return {directory: config.stages[directory.name] for directory in directories}


def load_file(path: str | pathlib.Path, variant: str = "") -> ConfigDict:
    """Calls `get_config(variant)` of a configuration file, as the flag `--config FILE:VARIANT` does.

    Args:
        path: Of the file.
        variant: Empty for the file's default.
    """
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant) if variant else module.get_config()
