"""Depth maps and teachers' maps next to the images of a data set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data.images import read_image, read_map
from mdepth_jax.data.map_info import UNKNOWN_MAPS, MapInfo, choose_scale
from mdepth_jax.data.pairs import ImagePairs
from mdepth_jax.data.types import Example, MapKey, RawExample

MAP_FOLDERS: dict[MapKey, str] = {"depth": "depth", "teacher_depth": "teacher"}
"""Folder of each kind of map in the folder of a data set."""

WITHOUT_MAPS: dict[MapKey, str] = {
    "depth": "add the maps, or train and evaluate on pairs alone",
    "teacher_depth": "add the maps, or train without them: set `config.teacher.maps=False`",
}
"""Advice in error messages about a data set without maps of a kind."""


@dataclass(frozen=True)
class Maps:
    """Selection of the maps that are read, and the units of their codes.

    Attributes:
        depth: Depth that one step of a code in `depth` stands for, such as 0.001 for millimeters read as meters; None
            if these maps are not read.
        teacher_depth: Depth that one step of a code in `teacher` stands for; 0 for the unit that the data set states,
            or millimeters; None if these maps are not read.
        teacher_optional: Whether a data set without any teacher's map is accepted.
        teacher: Meaning of the teacher's maps, see `with_teacher`.
    """

    depth: float | None = None
    teacher_depth: float | None = None
    teacher_optional: bool = False
    teacher: MapInfo = UNKNOWN_MAPS

    def needs(self, key: MapKey) -> bool:
        """Returns whether a data set without any map of this kind is refused."""
        return getattr(self, key) is not None and not (key == "teacher_depth" and self.teacher_optional)

    def with_teacher(self, info: MapInfo, where: str) -> "Maps":
        """Returns the selection with the meaning and the unit of a data set's own teacher's maps.

        Args:
            info: Statement of the data set.
            where: Folder of the maps, for the error message.

        Raises:
            UserError: If the unit of this selection contradicts that of the data set.
        """
        if self.teacher_depth is None:
            return self
        return replace(self, teacher_depth=choose_scale(info, self.teacher_depth, where), teacher=info)


NO_MAPS = Maps()


def decode_example(raw: RawExample, location: str, maps: Maps) -> Example:
    """Decodes the image and the selected maps of an example.

    Inverse relative depth is negated, so that larger = farther in every map.

    Args:
        raw: Encoded example.
        location: Start of error messages, such as `pairs_train.csv:12`.
        maps: Maps to decode.

    Raises:
        UserError: If the image or a map is damaged.
    """
    name = f"{location}: {raw['name']}"
    example = Example(image=read_image(raw["image"], name), points=raw["points"], relation=raw["relation"])
    if raw["depth"] and maps.depth is not None:
        example["depth"] = _decode_map(raw["depth"], f"{name}: depth map", maps.depth)
    if raw["teacher_depth"] and maps.teacher_depth is not None:
        scale = -maps.teacher_depth if maps.teacher.is_inverse else maps.teacher_depth
        example["teacher_depth"] = _decode_map(raw["teacher_depth"], f"{name}: teacher map", scale)
        if maps.teacher.is_relative:
            example["teacher_relative"] = True
    return example


def _decode_map(encoded: bytes, name: str, scale: float) -> Float32[np.ndarray, "height width"]:
    codes = read_map(encoded, name)
    return np.where(codes > 0, codes * np.float32(scale), np.float32(np.nan))


def map_path(root: Path, entry: ImagePairs, key: MapKey) -> Path:
    """Returns the path of an image's map, if it has one: `teacher/a/b.png` for `images/a/b.jpg`."""
    path = Path(entry.path)
    below = path.relative_to(path.parts[0]) if len(path.parts) > 1 else path
    return root / MAP_FOLDERS[key] / below.with_suffix(".png")


def find_maps(root: Path, entries: Iterable[ImagePairs], key: MapKey) -> Iterator[Path]:
    """Yields the maps that exist, in the order of the images."""
    return filter(Path.is_file, (map_path(root, entry, key) for entry in entries))
