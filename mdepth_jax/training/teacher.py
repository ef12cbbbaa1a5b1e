"""The teacher that a configuration asks for."""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.data.loading import uses_depth
from mdepth_jax.models import load_teacher
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.training.step import make_mesh, replicate


def open_teacher(config: ConfigDict) -> Callable[[Any], Prediction] | None:
    """Puts the teacher of a configuration on all devices; None if it has none.

    Raises:
        UserError: As `load_teacher`.
    """
    run, mesh = config.teacher.run, make_mesh()
    has_maps = config.teacher.maps or uses_depth(config)
    log = config.data.log if has_maps else None
    return load_teacher(run, lambda tree: replicate(tree, mesh), log=log) if run else None
