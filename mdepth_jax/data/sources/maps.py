"""Depth maps and teachers' maps next to the images of a data set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data.images import read_image, read_map
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
        teacher_depth: Depth that one step of a code in `teacher` stands for; None if these maps are not read.
        teacher_optional: Whether a data set without any teacher's map is accepted.
    """

    depth: float | None = None
    teacher_depth: float | None = None
    teacher_optional: bool = False

    def needs(self, key: MapKey) -> bool:
        """Returns whether a data set without any map of this kind is refused."""
        return getattr(self, key) is not None and not (key == "teacher_depth" and self.teacher_optional)


NO_MAPS = Maps()


def decode_example(raw: RawExample, location: str, maps: Maps) -> Example:
    """Decodes the image and the selected maps of an example.

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
        example["teacher_depth"] = _decode_map(raw["teacher_depth"], f"{name}: teacher map", maps.teacher_depth)
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
