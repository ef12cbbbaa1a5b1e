"""Check of a teacher against the training pairs."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from mdepth_jax.data.pairs import chance_margin
from mdepth_jax.data.types import Data
from mdepth_jax.errors import UserError
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.training.step import add_teacher, make_training_mesh

MAX_BATCHES = 32


def check_teacher_sign(config: ConfigDict, data: Data, teacher: Callable[[Any], Prediction] | None) -> None:
    """Checks that larger means farther in a teacher's depth, on a sample of the training pairs.

    Counts the unequal pairs that the teacher orders as labeled and those that it orders the other way round; ties and
    unknown depth do not count. Reads the first batches of the first epoch, `MAX_BATCHES` at most, and stops as soon
    as the right ones are more than half by more than chance would have it (95 %), most often after two or three.

    Args:
        config: Whole configuration.
        data: Batches of both sets.
        teacher: Function from images on the devices to depth and features; None for cached maps.

    Raises:
        UserError: If more than half of the pairs are ordered the other way round, by more than chance would have it.
    """
    mesh = make_training_mesh(config.data.batch_size)
    right = wrong = 0
    for batch in itertools.islice(data.train(0), min(MAX_BATCHES, data.steps_per_epoch)):
        arrays = add_teacher(batch, mesh, teacher)
        counts = _count_orders(arrays["teacher_depth"], arrays["points"], arrays["relation"], arrays["valid"])
        right, wrong = right + int(counts[0]), wrong + int(counts[1])
        if right - wrong > chance_margin(right + wrong):
            return
    if wrong - right > chance_margin(right + wrong):
        raise UserError(
            f"the teacher orders {wrong} of {right + wrong} training pairs the wrong way round: its depth is larger "
            f"where the image is nearer; set `config.teacher.inverted={not config.teacher.inverted}`"
        )


@jax.jit
def _count_orders(
    depth: Float[Array, "batch height width 1"],
    points: Int[Array, "batch pairs 2 2"],
    relation: Int[Array, "batch pairs"],
    valid: Bool[Array, "batch pairs"],
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """Counts the unequal pairs that a map orders as labeled and the other way round."""
    rows = jnp.arange(depth.shape[0])[:, None, None]
    at_points = depth[rows, points[..., 0], points[..., 1], 0]
    order = (at_points[..., 0] - at_points[..., 1]) * relation.astype(depth.dtype)
    return jnp.sum(valid & (order > 0)), jnp.sum(valid & (order < 0))
