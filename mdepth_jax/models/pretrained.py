"""Encoder weights from other projects' files, checked tensor by tensor."""

import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mdepth_jax.errors import UserError
from mdepth_jax.models.layers import BatchNorm

NORM_TENSORS = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
CONV_TENSORS = {"weight": "kernel", "bias": "bias"}


def load_pretrained(model: Any, path: str | os.PathLike) -> None:
    """Reads ImageNet weights under their public names into the encoder of `model`, in place.

    The padding and the image scaling that the weights were trained with are the model's `preprocessing`. A
    classifier and BatchNorm's batch counters are left out. Nothing changes unless every tensor fits.

    Args:
        model: Has an `encoder` whose `named_layers()` gives the public name of every layer: torchvision's of
            MobileNetV2, ShuffleNetV2 and ResNet-50, FastDepth's of MobileNetV1, timm's of the others.
        path: `.npz` or `.safetensors`; kernels in PyTorch's order (out, in, height, width).

    Raises:
        UserError: The file cannot be read, or a tensor is missing, unexpected, of the wrong shape or not finite.
    """
    tensors = {name: t for name, t in read_tensors(pathlib.Path(path)).items() if not name.startswith("classifier.")}
    assign_tensors(path, tensors, named_variables(model.encoder.named_layers()))


def assign_tensors(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], variables: Mapping[str, nnx.Variable]
) -> None:
    """Gives every variable the tensor of its name, or changes nothing.

    Args:
        path: Of the file, for messages.
        tensors: In PyTorch's layout.
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
    values = {name: _fit(tensors[name], variables[name], f"{path}: tensor {name}") for name in variables}
    for name, variable in variables.items():
        variable.set_value(values[name])


def named_variables(named_layers: Iterable[tuple[str, nnx.Module]]) -> dict[str, nnx.Variable]:
    """The variables of layers under the names of PyTorch's tensors."""
    return {
        f"{layer_name}.{tensor}": getattr(layer, attribute)
        for layer_name, layer in named_layers
        for tensor, attribute in (NORM_TENSORS if isinstance(layer, BatchNorm) else CONV_TENSORS).items()
        if getattr(layer, attribute, None) is not None
    }


def _fit(tensor: np.ndarray, variable: nnx.Variable, where: str):
    """The tensor in the layout and dtype of the variable."""
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise UserError(f"{where} holds {tensor.dtype}, not floating point numbers.")
    if tensor.ndim == 4:
        tensor = tensor.transpose(2, 3, 1, 0)
    if tensor.shape != variable.shape:
        raise UserError(
            f"{where} has shape {tensor.shape} (kernels as height, width, in, out), the network needs "
            f"{variable.shape}; check `model.width`."
        )
    if not np.isfinite(tensor.astype(np.float32)).all():
        raise UserError(f"{where} holds NaN or infinity; get the file again.")
    return jnp.asarray(tensor, variable.dtype)


def read_tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` or `.safetensors` file by name, without BatchNorm's batch counters.

    Raises:
        UserError: The file cannot be read.
    """
    return {name: tensor for name, tensor in _read(path).items() if not name.endswith("num_batches_tracked")}


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    if path.suffix not in (".npz", ".safetensors"):
        raise UserError(f"{path}: weights must be a .npz or .safetensors file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as tensors:
            return dict(tensors)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file.") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, SafetensorError) as error:
        raise UserError(f"{path}: not a whole {path.suffix} file of plain arrays ({error}).") from error
