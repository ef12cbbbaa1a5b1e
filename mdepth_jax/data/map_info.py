"""Meaning of the maps in a folder: what `teacher/about.json` states, so that training reads them rightly.

    {"meaning": "relative depth", "map_scale": 1.5259e-05, ...}

`meaning` and `map_scale` are read; whatever else the file says, such as how the maps were made, is for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mdepth_jax.data.about import ABOUT
from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json

Meaning = Literal["depth in meters", "relative depth", "inverse relative depth"]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
DEFAULT_SCALE = 0.001
"""Unit of the codes where neither the folder nor the user states one: millimeters read as meters."""


@dataclass(frozen=True)
class MapInfo:
    """Meaning of the codes of a folder of maps.

    Attributes:
        meaning: Quantity that a code times `map_scale` is. Relative depth and inverse relative depth are known up to a
            scale and a shift of each map. Empty if unknown, as in folders without `about.json`: then all maps are
            taken for depth in one unit.
        map_scale: Value that one step of a code stands for; None if unknown.
    """

    meaning: Meaning | Literal[""] = ""
    map_scale: float | None = None

    @property
    def is_relative(self) -> bool:
        """Whether every map has a scale and a shift of its own."""
        return self.meaning in ("relative depth", "inverse relative depth")

    @property
    def is_inverse(self) -> bool:
        """Whether larger codes are nearer."""
        return self.meaning == "inverse relative depth"


UNKNOWN_MAPS = MapInfo()


def read_map_info(folder: Path) -> MapInfo:
    """Reads the `about.json` of a folder of maps; without one their meaning is unknown.

    Raises:
        UserError: If the file is invalid; the message names the file and the key.
    """
    path = folder / ABOUT
    return parse_map_info(read_json(path), str(path)) if path.is_file() else UNKNOWN_MAPS


def parse_map_info(values: Any, where: str) -> MapInfo:
    """Parses the meaning of a folder of maps.

    Args:
        values: Content of its `about.json`.
        where: Origin of the values, for error messages.

    Raises:
        UserError: If a key is missing or invalid.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: must be an object with the keys meaning and map_scale")
    meaning, scale = values.get("meaning"), values.get("map_scale")
    if meaning not in MEANINGS:
        raise UserError(f"{where}: key 'meaning' is {meaning!r}; it must be one of {', '.join(map(repr, MEANINGS))}")
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0:
        raise UserError(f"{where}: key 'map_scale' is {scale!r}; it must be a positive number, the unit of the codes")
    return MapInfo(meaning, float(scale))


def choose_scale(info: MapInfo, wanted: float, where: str) -> float:
    """Chooses the unit of a folder's codes.

    Args:
        info: Statement of the folder.
        wanted: Unit that the user gave; 0 if none.
        where: Folder, for the error message.

    Raises:
        UserError: If the user's unit contradicts that of the folder.
    """
    if info.map_scale is None:
        return wanted or DEFAULT_SCALE
    if wanted and abs(wanted - info.map_scale) > 1e-6 * info.map_scale:
        raise UserError(
            f"{where}/{ABOUT}: the unit of the codes is {info.map_scale:g}, but `config.data.map_scale={wanted:g}`;"
            " leave that key out (0 takes the file's unit)"
        )
    return info.map_scale
