"""Encoder weights from other projects, checked tensor by tensor."""

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
from mdepth_jax.models.pretrained.naming import Recipe, Source
from mdepth_jax.models.pretrained.publishers import KERAS, PYTORCH_SOURCES
from mdepth_jax.models.pretrained.tensors import read_tensors


def load_pretrained(model: Any, weights: str | os.PathLike) -> None:
    """Reads ImageNet weights under their published names into the encoder of `model`, in place.

    The names tell which of `sources` a file is from; its classifier is left out. Nothing changes unless every tensor
    fits, and unless the model scales, pads and normalizes as the weights were trained. That is known of the files that
    a project publishes; an `.npz`, or a `.safetensors` with torchvision's names, is taken as it is.

    Args:
        model: A `DepthNet`.
        weights: A file of `read_tensors` with the names of timm, torchvision or FastDepth; one of Keras Applications
            (`.h5` or `.keras`, classifier included); or `"keras"`: TensorFlow downloads them by itself.

    Raises:
        UserError: The weights cannot be read, are of another network, or a tensor is missing, unexpected, of the wrong
            shape or not finite; or the model scales, pads or normalizes in another way.
    """
    source, tensors = _open(model.encoder, str(weights))
    variables = source.variables(model.encoder)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(source.left_out)}
    values = fit_tensors(weights, tensors, variables)
    if pathlib.Path(weights).suffix in source.suffixes:
        _check_recipe(model, str(weights), source)
    for name, variable in variables.items():
        variable.set_value(values[name])


def fit_tensors(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], variables: Mapping[str, nnx.Variable]
) -> dict[str, jax.Array]:
    """Gives for every variable the tensor of its name in its dtype.

    Args:
        path: Of the file, for messages.
        tensors: Kernels as height, width, in, out.
        variables: May be abstract.

    Raises:
        UserError: A tensor is missing, unexpected, of the wrong shape or not finite.
    """
    for names, complaint in (
        (variables.keys() - tensors.keys(), "is missing"),
        (tensors.keys() - variables.keys(), "has no place in this network"),
    ):
        if names:
            raise UserError(
                f"{path}: tensor {min(names)} {complaint} ({len(names)} such); use weights of the same network."
            )
    return {name: _fit(tensors[name], variables[name], f"{path}: tensor {name}") for name in variables}


def _fit(tensor: np.ndarray, variable: nnx.Variable, where: str) -> jax.Array:
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise UserError(f"{where} holds {tensor.dtype}, not floating point numbers.")
    if tensor.shape != variable.shape:
        raise UserError(
            f"{where} has shape {tensor.shape} (kernels as height, width, in, out), the network needs "
            f"{variable.shape}; check `model.width`."
        )
    value = tensor.astype(variable.dtype)
    if not np.isfinite(value).all():
        raise UserError(f"{where} holds NaN or infinity; get the file again.")
    return jnp.asarray(value)


def _open(encoder: Any, weights: str) -> tuple[Source, dict[str, np.ndarray]]:
    """The tensors, and the source whose names for this encoder they have, or most of them."""
    if weights == DOWNLOAD or weights.endswith((".h5", ".keras")):
        if type(encoder) not in KERAS.rules:
            known = ", ".join(sorted(kind.__name__ for kind in KERAS.rules))
            raise UserError(f"{weights}: Keras has no weights of {type(encoder).__name__}, only of {known}.")
        return KERAS, read_application(encoder, weights)
    tensors = read_tensors(pathlib.Path(weights))
    sources = [source for source in PYTORCH_SOURCES if type(encoder) in source.rules]
    return max(sources, key=lambda source: len(source.variables(encoder).keys() & tensors.keys())), tensors


def _check_recipe(model: Any, weights: str, source: Source) -> None:
    recipes = source.rules[type(model.encoder)].recipes
    given = Recipe(model.preprocessing, model.encoder.stem.norm.epsilon)
    if given not in recipes:
        flags = "--config.model.preprocessing={} --config.model.norm_epsilon={:g}"
        raise UserError(
            f"{weights} holds weights of {source.name}, which were not trained with config.model.preprocessing "
            f"{given.preprocessing!r} and config.model.norm_epsilon {given.norm_epsilon:g}; set "
            + " or ".join(flags.format(*recipe) for recipe in recipes)
        )
