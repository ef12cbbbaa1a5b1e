"""Our own weights: one safetensors file with a versioned header, readable by any later version."""

import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path
from mdepth_jax.models.depth_net import DepthNet, build_model, default_config
from mdepth_jax.models.header import Header

FORMAT = "mdepth_jax/1"

TEACHERS: Mapping[str, pathlib.Path] = {"embedded": pathlib.Path(__file__).parent / "embedded_teacher.safetensors"}
"""Trained networks that come with the package."""


@dataclass(frozen=True)
class Weights:
    """A trained network with what its file says of it.

    Attributes:
        path: File that the network was read from.
        model: Network in evaluation mode, without intermediate heads.
        config: Group `model` of its configuration, which rebuilds it.
        header: Where the weights come from.
    """

    path: pathlib.Path
    model: DepthNet
    config: ConfigDict
    header: Header


def save_weights(
    path: pathlib.Path, model: DepthNet, config: ConfigDict, header: Header, *, dtype: Any = np.float32
) -> None:
    """Writes a network without its intermediate heads.

    Args:
        path: Ends in `.safetensors`.
        model: The network.
        config: The group `model` of its configuration, which rebuilds it.
        header: Where the weights come from.
        dtype: Of the stored tensors.
    """
    config = ConfigDict({**config.to_dict(), "heads": 0, "pretrained": "", "start": "", "dtype": "float32"})
    tensors = {name: np.asarray(value).astype(dtype) for name, value in named_tensors(model.without_heads()).items()}
    metadata = {"format": FORMAT, "model": config.to_json(), "about": header.to_json()}
    with atomic_path(path) as temporary:
        safetensors.numpy.save_file(tensors, temporary, metadata=metadata)


def export_weights(source: pathlib.Path, path: pathlib.Path, *, dtype: Any = np.float16) -> None:
    """Writes the weights of a run or file to another file, by default in half precision.

    Args:
        source: As in `load_weights`.
        path: Ends in `.safetensors`.
        dtype: Of the stored tensors.

    Raises:
        UserError: As `load_weights`.
    """
    weights = load_weights(source)
    save_weights(pathlib.Path(path), weights.model, weights.config, weights.header, dtype=dtype)


def find_weights(path: pathlib.Path) -> pathlib.Path:
    """Finds the file of a network's weights.

    Args:
        path: The file itself, a run directory, whose best weights are meant, or a name of `TEACHERS`.

    Raises:
        UserError: If there is no such file.
    """
    path = TEACHERS.get(str(path), pathlib.Path(path))
    if path.is_dir():
        path = path / "model.safetensors"
        if not path.exists():
            raise UserError(f"{path} is missing: train that run up to its first evaluation, which writes it")
    if not path.exists():
        names = ", ".join(map(repr, TEACHERS))
        raise UserError(f"{path} does not exist; give a run directory, a .safetensors file or {names}")
    return path


def load_weights(path: pathlib.Path) -> Weights:
    """Reads a network for inference.

    Args:
        path: As in `find_weights`.

    Raises:
        UserError: As `find_weights`, or if the file is damaged or of another kind, or a tensor is missing, unexpected,
            of another shape or not finite.
    """
    path = find_weights(path)
    try:
        with safetensors.safe_open(path, "numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file ({error})") from error
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: the header says format {header.get('format')!r}, this version reads {FORMAT!r}")
    config = default_config()
    config.update(json.loads(header["model"]))
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))  # no time for values that are replaced
    model.eval()
    expected = named_tensors(model)
    for name in sorted(expected.keys() | tensors.keys()):
        _check(path, name, expected.get(name), tensors.get(name))
    for name, variable in expected.items():
        variable.set_value(jnp.asarray(tensors[name], variable.dtype))
    return Weights(path, model, config, Header.from_json(header["about"]))


def start_from(model: DepthNet, path: pathlib.Path) -> Header:
    """Gives a network the weights of another run, in place; its intermediate heads keep their own.

    Args:
        model: Of the same architecture and preprocessing as the run.
        path: As in `load_weights`.

    Returns:
        The header of the weights.

    Raises:
        UserError: As `load_weights`, or if the networks differ, naming the first tensor.
    """
    weights = load_weights(path)
    other = weights.model
    if other.preprocessing != model.preprocessing:
        raise UserError(f"{path} expects images scaled as {other.preprocessing!r}; set model.preprocessing to that")
    given = {name: np.asarray(variable[...]) for name, variable in named_tensors(other).items()}
    wanted = named_tensors(model.without_heads())
    for name in sorted(given.keys() | wanted.keys()):
        _check(path, name, wanted.get(name), given.get(name))
    for name, variable in wanted.items():
        variable[...] = jnp.asarray(given[name], variable.dtype)
    return weights.header


def _check(path: pathlib.Path, name: str, expected: Any, tensor: np.ndarray | None) -> None:
    if tensor is None:
        raise UserError(f"{path}: tensor {name} is missing")
    if expected is None:
        raise UserError(f"{path}: tensor {name} is unexpected")
    if tensor.shape != expected.shape:
        raise UserError(f"{path}: tensor {name} has shape {tensor.shape}, the network {expected.shape}")
    if not np.isfinite(tensor).all():
        raise UserError(f"{path}: tensor {name} holds values that are not finite")


def named_tensors(model: nnx.Module) -> dict[str, nnx.Variable]:
    """Gives the parameters and batch statistics of a network by their names in its file, which are paths."""
    variables = nnx.state(model, (nnx.Param, nnx.BatchStat)).flat_state()
    return {".".join(map(str, path)): variable for path, variable in variables}
