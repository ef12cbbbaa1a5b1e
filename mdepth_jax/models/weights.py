"""Files of trained weights: safetensors with a versioned header, readable by any later version."""

import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path, hash_file
from mdepth_jax.models.depth_net import DepthNet, build_model, default_config
from mdepth_jax.models.header import Header
from mdepth_jax.models.score import Score

FORMAT = "mdepth_jax/1"

WITHOUT_HEADS, WITH_HEADS = "model.safetensors", "model_with_heads.safetensors"
"""Files of a run directory: its best weights for inference, and the same ones for a training that starts from them."""

_HEADS = "decoder.heads."

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


@dataclass(frozen=True)
class Start:
    """Weights that a training starts from.

    Attributes:
        header: Origin, scores and output of the weights.
        new_heads: Number of intermediate heads of the network that the weights lack, which keep their initialization.
    """

    header: Header
    new_heads: int


@dataclass(frozen=True)
class _Content:
    """Content of a file of weights; `tensors` are those that the network of `config` has, if the file is valid."""

    path: pathlib.Path
    config: ConfigDict
    header: Header
    tensors: Mapping[str, np.ndarray]


def save_weights(
    path: pathlib.Path,
    model: DepthNet,
    config: ConfigDict,
    header: Header,
    *,
    heads: bool = False,
    dtype: Any = np.float32,
) -> None:
    """Writes the weights of a network.

    Args:
        path: Path of the file, ending in `.safetensors`.
        model: The network.
        config: Group `model` of its configuration, which rebuilds it.
        header: Origin, scores and output of the weights.
        heads: Whether to write the intermediate heads, which only a training that starts from the file reads.
        dtype: Type of the stored tensors.

    Raises:
        UserError: If the file cannot be written.
    """
    config = ConfigDict({**config.to_dict(), "pretrained": "", "start": "", "dtype": "float32"})
    if not heads:
        config.heads, model = 0, model.without_heads()
    tensors = {name: np.asarray(value).astype(dtype) for name, value in named_tensors(model).items()}
    _write(_Content(path, config, header, tensors))


def replace_scores(path: pathlib.Path, scores: Mapping[str, Score]) -> None:
    """Replaces the scores in the header of a file of weights.

    Args:
        path: Path of the file.
        scores: Scores of its weights, by metric.

    Raises:
        UserError: If the file cannot be read or written.
    """
    content = _read(path)
    _write(replace(content, header=replace(content.header, scores=scores)))


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
    digest = hash_file(weights.path)  # the scores are those of the original file
    scores = {name: replace(score, weights=score.weights or digest) for name, score in weights.header.scores.items()}
    save_weights(path, weights.model, weights.config, replace(weights.header, scores=scores), dtype=dtype)


def find_weights(path: pathlib.Path) -> pathlib.Path:
    """Finds the file of a network's weights.

    Args:
        path: Run directory, whose best weights are meant, `.safetensors` file, or name of `TEACHERS`.

    Raises:
        UserError: If there is no such file.
    """
    path = TEACHERS.get(str(path), pathlib.Path(path))
    if path.is_dir():
        path = path / WITHOUT_HEADS
        if not path.exists():
            raise UserError(f"{path} is missing: train that run up to its first evaluation, which writes it")
    if not path.exists():
        names = ", ".join(map(repr, TEACHERS))
        raise UserError(f"{path} does not exist; give a run directory, a .safetensors file or {names}")
    return path


def load_weights(path: pathlib.Path) -> Weights:
    """Loads a network for inference, without intermediate heads.

    Args:
        path: Run directory, `.safetensors` file or name, see `find_weights`.

    Raises:
        UserError: If there is no such file, it is damaged or of another kind, or a tensor is missing, unexpected, of
            another shape or not finite.
    """
    content = _read(find_weights(path))
    config, tensors = content.config, content.tensors
    if config.heads:
        config.heads, tensors = 0, {name: tensors[name] for name in tensors if not name.startswith(_HEADS)}
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))  # the values would be replaced
    model.eval()
    variables = named_tensors(model)
    _check_all(content.path, variables, tensors)
    for name, variable in variables.items():
        variable.set_value(jnp.asarray(tensors[name], variable.dtype))
    return Weights(content.path, model, config, content.header)


def start_from(model: DepthNet, path: pathlib.Path) -> Start:
    """Loads the weights of another run into a network, in place, with the intermediate heads that both have.

    Heads are matched by the decoder stage that they read: the only head of one network is the last of two.

    Args:
        model: Network of the same architecture and preprocessing as the run's.
        path: Run directory, `.safetensors` file or name, see `find_weights`; the heads of a run directory lie in
            `WITH_HEADS`.

    Returns:
        The header of the weights and the number of heads that they lack.

    Raises:
        UserError: If the weights cannot be read, or the networks differ; the message names the first tensor that does.
    """
    file = find_weights(path)
    heads = len(model.decoder.heads)
    if heads and pathlib.Path(path).is_dir() and (pathlib.Path(path) / WITH_HEADS).exists():
        file = pathlib.Path(path) / WITH_HEADS
    content = _read(file)
    if content.config.preprocessing != model.preprocessing:
        raise UserError(
            f"{file} expects images scaled as {content.config.preprocessing!r}; set "
            f"`config.model.preprocessing={content.config.preprocessing}`"
        )
    new_heads = max(heads - content.config.heads, 0)
    tensors = _renumber_heads(content.tensors, heads - content.config.heads)
    new = tuple(f"{_HEADS}{number}." for number in range(new_heads))
    variables = {name: variable for name, variable in named_tensors(model).items() if not name.startswith(new)}
    _check_all(file, variables, tensors)
    for name, variable in variables.items():
        variable[...] = jnp.asarray(tensors[name], variable.dtype)
    return Start(content.header, new_heads)


def _write(content: _Content) -> None:
    metadata = {"format": FORMAT, "model": content.config.to_json(), "about": content.header.to_json()}
    with atomic_path(content.path) as temporary:
        safetensors.numpy.save_file(dict(content.tensors), temporary, metadata=metadata)


def _read(path: pathlib.Path) -> _Content:
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
    return _Content(path, config, Header.from_json(header["about"]), tensors)


def _renumber_heads(tensors: Mapping[str, np.ndarray], offset: int) -> dict[str, np.ndarray]:
    """Adds an offset to the numbers of intermediate heads, and leaves out those that fall below 0."""
    renumbered = {}
    for name, tensor in tensors.items():
        if name.startswith(_HEADS):
            number, rest = name.removeprefix(_HEADS).split(".", 1)
            if int(number) + offset < 0:
                continue
            name = f"{_HEADS}{int(number) + offset}.{rest}"
        renumbered[name] = tensor
    return renumbered


def _check_all(path: pathlib.Path, expected: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    for name in sorted(expected.keys() | tensors.keys()):
        _check(path, name, expected.get(name), tensors.get(name))


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
