"""Depth maps and teachers' maps beside the images of a data set."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data.images import read_image, read_map
from mdepth_jax.data.pairs import ImagePairs
from mdepth_jax.data.types import Example, MapKey, RawExample

MAP_FOLDERS: dict[MapKey, str] = {"depth": "depth", "teacher_depth": "teacher"}


WITHOUT_MAPS: dict[MapKey, str] = {  # the way out where a set has none
    "depth": "add the maps, or learn and score by pairs alone",
    "teacher_depth": "add the maps, or train without them: --config.teacher.maps=False",
}


@dataclass(frozen=True)
class Maps:
    """Which maps are read and what their codes mean.

    Attributes:
        depth: What one step of the code in `depth` is worth, 0.001 for millimetres read as metres; None: not
            read.
        teacher_depth: As `depth`, for the maps in `teacher`.
        teacher_optional: Whether a set in which no image has a teacher's map will do.
    """

    depth: float | None = None
    teacher_depth: float | None = None
    teacher_optional: bool = False

    def needs(self, key: MapKey) -> bool:
        """Tells whether a set without any such map is refused."""
        return getattr(self, key) is not None and not (key == "teacher_depth" and self.teacher_optional)


NO_MAPS = Maps()


def decode(raw: RawExample, where: str, maps: Maps) -> Example:
    """Reads the images of an example.

    Args:
        raw: The encoded example.
        where: What an error names first, such as `pairs_train.csv:12`.
        maps: The maps to read.

    Raises:
        UserError: An image or a map is damaged.
    """
    name = f"{where}: {raw['name']}"
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
    """Where the map of an image would lie: `images/a/b.jpg` has the teacher's map `teacher/a/b.png`."""
    path = Path(entry.path)
    below = path.relative_to(path.parts[0]) if len(path.parts) > 1 else path
    return root / MAP_FOLDERS[key] / below.with_suffix(".png")


def find_maps(root: Path, entries: Iterable[ImagePairs], key: MapKey) -> Iterator[Path]:
    """The maps that exist, in the order of the images."""
    return filter(Path.is_file, (map_path(root, entry, key) for entry in entries))
