"""Files of tensors by name: NumPy's, safetensors and PyTorch's. No code in a file is ever run."""

import pathlib
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mdepth_jax.errors import UserError
from mdepth_jax.models.pretrained.pytorch import read_pytorch

Reader = Callable[[pathlib.Path], Mapping[str, np.ndarray]]
PYTORCH_SUFFIXES = (".pth", ".pt", ".tar")


def read_tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads a file of tensors in PyTorch's layout.

    The prefix `module.` of networks trained on several devices and the batch counters of BatchNorm are left out.

    Args:
        path: Path of an `.npz`, `.safetensors`, `.pth`, `.pt` or `.pth.tar` file.

    Returns:
        Arrays by name; kernels as height, width, in, out; the weights of a dense layer are those of a 1x1 convolution.

    Raises:
        UserError: If the file cannot be read.
    """
    return {
        name.removeprefix("module."): _kernel_last(tensor)
        for name, tensor in _read(path).items()
        if not name.endswith("num_batches_tracked")
    }


def _kernel_last(tensor: np.ndarray) -> np.ndarray:
    match tensor.ndim:
        case 4:
            return tensor.transpose(2, 3, 1, 0)
        case 2:
            return tensor.T[None, None]
        case _:
            return tensor


def _read(path: pathlib.Path) -> Mapping[str, np.ndarray]:
    readers: dict[str, Reader] = {".npz": _read_npz, ".safetensors": load_file}
    readers |= dict.fromkeys(PYTORCH_SUFFIXES, read_pytorch)
    if path.suffix not in readers:
        raise UserError(f"{path}: weights must be a file of one of the kinds {', '.join(readers)}")
    if not path.exists():
        raise UserError(f"{path}: no such file")
    try:
        return readers[path.suffix](path)
    except (
        OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError,
        zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, SafetensorError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a complete {path.suffix} file of plain arrays ({reason})") from error


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as tensors:
        return dict(tensors)
