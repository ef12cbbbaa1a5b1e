"""Files of trained weights: safetensors with a versioned header, readable by any later version."""

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
    """A trained network with the header of its file.

    Attributes:
        path: File that the network was read from.
        model: Network in evaluation mode, without intermediate heads.
        config: Group `model` of its configuration, which rebuilds it.
        header: Origin, scores and output of the weights.
    """

    path: pathlib.Path
    model: DepthNet
    config: ConfigDict
    header: Header


def save_weights(
    path: pathlib.Path, model: DepthNet, config: ConfigDict, header: Header, *, dtype: Any = np.float32
) -> None:
    """Writes the weights of a network without its intermediate heads.

    Args:
        path: Path of the file, ending in `.safetensors`.
        model: The network.
        config: Group `model` of its configuration, which rebuilds it.
        header: Origin, scores and output of the weights.
        dtype: Type of the stored tensors.

    Raises:
        UserError: If the file cannot be written.
    """
    config = ConfigDict({**config.to_dict(), "heads": 0, "pretrained": "", "start": "", "dtype": "float32"})
    tensors = {name: np.asarray(value).astype(dtype) for name, value in named_tensors(model.without_heads()).items()}
    metadata = {"format": FORMAT, "model": config.to_json(), "about": header.to_json()}
    with atomic_path(path) as temporary:
        safetensors.numpy.save_file(tensors, temporary, metadata=metadata)


def export_weights(run: pathlib.Path, path: pathlib.Path, *, dtype: Any = np.float16) -> None:
    """Writes the weights of a run to another file, by default in half precision.

    Args:
        run: Run directory or file, see `find_weights`.
        path: Path of the new file, ending in `.safetensors`.
        dtype: Type of the stored tensors.

    Raises:
        UserError: If the run cannot be loaded, see `load_weights`, or the file cannot be written.
    """
    weights = load_weights(run)
    save_weights(path, weights.model, weights.config, weights.header, dtype=dtype)


def find_weights(path: pathlib.Path) -> pathlib.Path:
    """Finds the file of a network's weights.

    Args:
        path: Run directory, whose best weights are meant, `.safetensors` file, or name of `TEACHERS`.

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
    """Loads a network for inference.

    Args:
        path: Run directory, `.safetensors` file or name, see `find_weights`.

    Raises:
        UserError: If there is no such file, it is damaged or of another kind, or a tensor is missing, unexpected, of
            another shape or not finite.
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
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))  # the values would be replaced
    model.eval()
    expected = named_tensors(model)
    for name in sorted(expected.keys() | tensors.keys()):
        _check(path, name, expected.get(name), tensors.get(name))
    for name, variable in expected.items():
        variable.set_value(jnp.asarray(tensors[name], variable.dtype))
    return Weights(path, model, config, Header.from_json(header["about"]))


def start_from(model: DepthNet, path: pathlib.Path) -> Header:
    """Loads the weights of another run into a network, in place; its intermediate heads keep their own.

    Args:
        model: Network of the same architecture and preprocessing as the run's.
        path: Run directory, `.safetensors` file or name, see `find_weights`.

    Returns:
        Header of the weights.

    Raises:
        UserError: If the weights cannot be loaded, see `load_weights`, or the networks differ; the message names the
            first tensor that does.
    """
    weights = load_weights(path)
    other = weights.model
    if other.preprocessing != model.preprocessing:
        raise UserError(
            f"{path} expects images scaled as {other.preprocessing!r}; set "
            f"`config.model.preprocessing={other.preprocessing}`"
        )
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
    """Returns the parameters and batch statistics of a network by their names in its file: their paths in the model."""
    variables = nnx.state(model, (nnx.Param, nnx.BatchStat)).flat_state()
    return {".".join(map(str, path)): variable for path, variable in variables}
