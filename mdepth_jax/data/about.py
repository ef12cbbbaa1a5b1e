"""Identity and terms of use of data sets: those that the package knows, and what a folder's `about.json` states."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdepth_jax import licenses
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json, write_json

KNOWN_SETS: Mapping[str, DataSetInfo] = {
    key: DataSetInfo(key, license.name, license.terms, license.reference) for key, license in licenses.DATA.items()
}
"""Published data sets by their keys, with the terms that their publishers state."""

ABOUT = "about.json"
_FIELDS = tuple(field.name for field in dataclasses.fields(DataSetInfo))


def read_about(*folders: Path) -> DataSetInfo:
    """Reads the first `about.json` in some folders; without one the data set is unknown.

    Raises:
        UserError: If the file is invalid; the message names the file and the key.
    """
    for folder in folders:
        if (folder / ABOUT).is_file():
            return parse_about(read_json(folder / ABOUT), str(folder / ABOUT))
    return DataSetInfo()


def parse_about(values: Any, where: str) -> DataSetInfo:
    """Parses the identity of a data set.

    Args:
        values: Content of an `about.json`: an object of strings, with the fields of `DataSetInfo` as keys. The key of a
            known data set stands for its name, terms and reference.
        where: File that holds it, for the message.

    Raises:
        UserError: If it is not such an object, or it gives neither a key nor a name.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: must be an object with some of the keys {', '.join(_FIELDS)}")
    for name, value in values.items():
        if name not in _FIELDS:
            raise UserError(f"{where}: key {name!r} is unknown; use some of {', '.join(_FIELDS)}")
        if not isinstance(value, str):
            raise UserError(f"{where}: key {name!r} is {value!r}; it must be a string")
    key = values.get("key", "")
    if key and key not in KNOWN_SETS:
        raise UserError(f"{where}: key 'key' is {key!r}; choose from {', '.join(KNOWN_SETS)}, or leave it out")
    if not key and not values.get("name"):
        raise UserError(f"{where}: key 'name' is missing; name the data set")
    return dataclasses.replace(KNOWN_SETS.get(key, DataSetInfo()), **values)


def write_about(folder: Path, info: DataSetInfo) -> None:
    """Writes the `about.json` of a data set; nothing if the data set is unknown."""
    if info.name:
        write_json(folder / ABOUT, {name: value for name, value in dataclasses.asdict(info).items() if value})
