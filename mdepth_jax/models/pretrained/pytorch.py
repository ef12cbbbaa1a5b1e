"""PyTorch's files of tensors. No code in a file is ever run: names other than those of tensors are refused."""

import collections
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mdepth_jax.errors import UserError

_STORAGES = {
    "BFloat16Storage": jnp.bfloat16,
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}


def read_pytorch(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a state dict, or of the entry `state_dict` of a checkpoint.

    PyTorch reads the file where it is installed (`torch.load` with `weights_only=True`). Otherwise this module does,
    which knows the format of PyTorch 1.6 and later: a zip archive of a pickle and one file for each storage.

    Args:
        path: Path of the file.

    Returns:
        Tensors by name in PyTorch's layout; those of floating point numbers are float32.

    Raises:
        UserError: If the file is in the format of an earlier PyTorch, and PyTorch is not installed.
        ValueError: If the file holds anything but tensors by name.
        pickle.UnpicklingError: If the file names anything but tensors and plain containers.
    """
    try:
        contents, tensor_type = _load(path)
    except (AttributeError, AssertionError, IndexError, MemoryError, OverflowError, struct.error) as error:
        raise pickle.UnpicklingError(f"its pickle is damaged: {error}") from error
    tensors = contents.get("state_dict", contents) if isinstance(contents, Mapping) else contents
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, tensor_type) for tensor in tensors.values()):
        raise ValueError("it holds other things than tensors by name")
    if tensor_type is np.ndarray:
        return {name: t if np.issubdtype(t.dtype, np.integer) else t.astype(np.float32) for name, t in tensors.items()}
    return {name: (t.float() if t.is_floating_point() else t).detach().numpy() for name, t in tensors.items()}


def _load(path: pathlib.Path) -> tuple[Any, type]:
    """Returns the contents of a file and the type of its tensors."""
    try:
        import torch
    except ImportError:
        return _read_archive(path), np.ndarray
    return torch.load(path, map_location="cpu", weights_only=True), torch.Tensor


def _read_archive(path: pathlib.Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is damaged, or in the format of PyTorch before 1.6, which PyTorch alone reads: pip install torch, "
            "or save the tensors as .safetensors or .npz where it is installed"
        )
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError("it holds no data.pkl")
        with archive.open(pickles[0]) as file:
            return _Unpickler(file, archive, pickles[0].removesuffix("data.pkl")).load()


class _Storage(NamedTuple):
    """One storage of an archive, which several tensors may share."""

    contents: bytes
    dtype: np.dtype


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows tensors and ordered dictionaries, and refuses every other name."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, folder: str):
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return collections.OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild_tensor
            case "torch._utils", "_rebuild_parameter":
                return _rebuild_parameter
            case "torch", _ if name in _STORAGES:
                return name  # no object whose state a crafted pickle could set
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, name, key, _, _ = pid
        if kind != "storage" or name not in _STORAGES:
            raise pickle.UnpicklingError(f"it refers to {kind!r}, which is no storage")
        return _Storage(self._archive.read(f"{self._folder}data/{key}"), np.dtype(_STORAGES[name]))


def _rebuild_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> np.ndarray:
    """Returns a tensor as a view into its storage; NumPy checks that it lies within."""
    itemsize = storage.dtype.itemsize
    strides = [step * itemsize for step in stride]
    return np.ndarray(size, storage.dtype, storage.contents, offset * itemsize, strides)


def _rebuild_parameter(tensor: np.ndarray, *_: Any) -> np.ndarray:
    return tensor
