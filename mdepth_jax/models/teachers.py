"""Teachers: functions from images to depth and features."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float, UInt8

from mdepth_jax.models.weights import load_weights

TEACHERS: Mapping[str, pathlib.Path] = {"embedded": pathlib.Path(__file__).parent / "embedded_teacher.safetensors"}


class Prediction(NamedTuple):
    """What a teacher gives.

    Attributes:
        depth: Larger = farther, in the teacher's own unit.
        features: Of its penultimate decoder layer, for the pair-wise term.
    """

    depth: Float[Array, "batch height width 1"]
    features: Float[Array, "batch feature_height feature_width channels"]


def load_teacher(run: str, place: Callable[[Any], Any] = lambda tree: tree) -> Callable[[Any], Prediction]:
    """Makes a jitted teacher of a trained network.

    Args:
        run: A name of `TEACHERS`, a run directory or a `.safetensors` file.
        place: Puts the weights where they belong, e.g. on every device of a mesh.

    Returns:
        The function image `[B, H, W, 3]`, uint8 RGB -> `Prediction`; no gradient is ever taken through it.

    Raises:
        UserError: As `load_weights`.
    """
    model, _, _ = load_weights(TEACHERS.get(run, pathlib.Path(run)))
    graph, variables = nnx.split(model)
    variables = place(variables)

    @jax.jit
    def predict(variables: Any, image: UInt8[Array, "batch height width 3"]) -> Prediction:
        outputs = nnx.merge(graph, variables)(image)
        return Prediction(outputs.depth, outputs.features)

    return lambda image: predict(variables, image)
