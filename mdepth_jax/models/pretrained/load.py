"""Loading of encoder weights that other projects publish, checked tensor by tensor."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models.pretrained.keras import DOWNLOAD, read_application
from mdepth_jax.models.pretrained.naming import Publisher, Recipe
from mdepth_jax.models.pretrained.publishers import KERAS, PYTORCH_PUBLISHERS
from mdepth_jax.models.pretrained.tensors import read_tensors


def load_pretrained(model: Any, weights: str | os.PathLike) -> None:
    """Loads published ImageNet weights into the encoder of `model`, in place.

    The publisher is recognized by the names of the tensors; the classifier is left out. Nothing changes unless every
    tensor fits, and unless the model scales, pads and normalizes as the weights were trained. That is known for the
    files that a project publishes itself; an `.npz`, or a `.safetensors` with torchvision's names, is not checked for
    it.

    Args:
        model: A `DepthNet`.
        weights: Path of a file that `read_tensors` reads, with the names of timm, torchvision or FastDepth; path of a
            file of Keras Applications (`.h5` or `.keras`, classifier included); or `"keras"`, which TensorFlow
            downloads.

    Raises:
        UserError: If the weights cannot be read or are of another network, if a tensor is missing, unexpected, of the
            wrong shape or not finite, or if the model scales, pads or normalizes in another way.
    """
    publisher, tensors = _read(model.encoder, str(weights))
    variables = publisher.variables(model.encoder)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(publisher.left_out)}
    values = fit_tensors(weights, tensors, variables)
    if pathlib.Path(weights).suffix in publisher.suffixes:
        _check_recipe(model, str(weights), publisher)
    for name, variable in variables.items():
        variable.set_value(values[name])


def fit_tensors(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], variables: Mapping[str, nnx.Variable]
) -> dict[str, jax.Array]:
    """Returns for every variable the tensor of the same name, cast to the dtype of the variable.

    Args:
        path: Path of the file, for messages.
        tensors: Tensors by name; kernels as height, width, in, out.
        variables: Variables by name; may be abstract.

    Raises:
        UserError: If a tensor is missing, unexpected, of the wrong shape or not finite.
    """
    for names, complaint in (
        (variables.keys() - tensors.keys(), "is missing"),
        (tensors.keys() - variables.keys(), "has no place in this network"),
    ):
        if names:
            raise UserError(
                f"{path}: tensor {min(names)} {complaint} ({len(names)} such); use weights of the same network"
            )
    return {name: _fit(tensors[name], variables[name], f"{path}: tensor {name}") for name in variables}


def _fit(tensor: np.ndarray, variable: nnx.Variable, where: str) -> jax.Array:
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise UserError(f"{where} holds {tensor.dtype}, not floating point numbers")
    if tensor.shape != variable.shape:
        raise UserError(
            f"{where} has shape {tensor.shape} (kernels as height, width, in, out), the network needs "
            f"{variable.shape}; check `config.model.width`"
        )
    value = tensor.astype(variable.dtype)
    if not np.isfinite(value).all():
        raise UserError(f"{where} holds NaN or infinity; get the file again")
    return jnp.asarray(value)


def _read(encoder: Any, weights: str) -> tuple[Publisher, dict[str, np.ndarray]]:
    """Returns the tensors, and the publisher with whose names for this encoder most of them agree."""
    if weights == DOWNLOAD or weights.endswith((".h5", ".keras")):
        if type(encoder) not in KERAS.rules:
            known = ", ".join(sorted(kind.__name__ for kind in KERAS.rules))
            raise UserError(f"{weights}: Keras has no weights of {type(encoder).__name__}, only of {known}")
        return KERAS, read_application(encoder, weights)
    tensors = read_tensors(pathlib.Path(weights))
    publishers = [publisher for publisher in PYTORCH_PUBLISHERS if type(encoder) in publisher.rules]
    return max(publishers, key=lambda publisher: len(publisher.variables(encoder).keys() & tensors.keys())), tensors


def _check_recipe(model: Any, weights: str, publisher: Publisher) -> None:
    recipes = publisher.rules[type(model.encoder)].recipes
    given = Recipe(model.preprocessing, model.encoder.stem.norm.epsilon)
    if given not in recipes:
        flags = "`config.model.preprocessing={}` `config.model.norm_epsilon={:g}`"
        raise UserError(
            f"{weights} holds weights of {publisher.name}, which were not trained with `config.model.preprocessing` "
            f"{given.preprocessing!r} and `config.model.norm_epsilon` {given.norm_epsilon:g}; set "
            + " or ".join(flags.format(*recipe) for recipe in recipes)
        )
