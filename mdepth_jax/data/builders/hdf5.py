"""Reading of HDF5 files, with errors that name the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py

from mdepth_jax.errors import UserError


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Opens an HDF5 file for reading.

    Raises:
        UserError: If the file is missing, damaged or not HDF5.
    """
    try:
        with h5py.File(path) as file:
            yield file
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: a missing, damaged or truncated HDF5 file ({reason}); replace it") from None


def find_dataset(file: h5py.File, *names: str) -> h5py.Dataset:
    """Returns the first of several data sets that a file holds.

    Args:
        file: HDF5 file.
        *names: Possible names of the data set.

    Raises:
        UserError: If the file holds none of them.
    """
    for name in names:
        if isinstance(file.get(name), h5py.Dataset):
            return file[name]
    raise UserError(f"{file.filename}: holds no {' or '.join(names)}; replace it by the publisher's file")
