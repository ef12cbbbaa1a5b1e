"""The teacher that a configuration asks for."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.models import load_teacher
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.training.conditions import RUN_TEACHER
from mdepth_jax.training.step import make_mesh, replicate
from mdepth_jax.training.terms import wanted_maps


def open_teacher(config: ConfigDict) -> Callable[[Any], Prediction] | None:
    """Loads the teacher of a configuration on all devices.

    Args:
        config: Complete configuration.

    Returns:
        A function from a batch of images to depth and features; None without a teacher or a term that reads it.

    Raises:
        UserError: If the teacher's file is missing or damaged, or its depth does not fit the maps of the run.
    """
    if not config.teacher.run or not RUN_TEACHER.holds(config):
        return None
    mesh, wanted = make_mesh(), wanted_maps(config)
    log = config.data.log if wanted.teacher_depth or wanted.depth else None
    return load_teacher(
        config.teacher.run, lambda tree: replicate(tree, mesh), log=log, inverted=config.teacher.inverted
    )
