"""Data sets in folders, and `open_source`, which finds out what a path holds.

A folder of pairs is laid out like this; `depth` and `teacher` are optional, and `train` may be any name of a
split:

    pairs_train.csv        in the format of `mdepth_jax.data.pairs`; or train.txt, names of images without pairs
    images/0002.jpg        where the CSV says
    depth/0002.png         depth map: grey PNG of 8 or 16 bits, 0 = unknown, larger = farther
    teacher/0002.png       a teacher's prediction for the image, as depth; it covers the whole image
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data.frames import IMAGE_SUFFIXES, find_images, scan_list
from mdepth_jax.data.images import read_bytes, read_image, read_map
from mdepth_jax.data.pairs import NO_PAIRS, ImagePairs, parse_pairs
from mdepth_jax.data.types import Example, MapKey, RawExample, Source
from mdepth_jax.errors import UserError

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


class ImageFolder:
    """Images with the pairs that are given for them; a `Source`.

    Args:
        root: The folder that the paths of the images start from.
        entries: The images and their pairs; by default every image below `root/images`, without pairs.
        maps: The maps to read. A map that is missing for one image is missing in its example.
        csv: The file that `entries` come from, a CSV or a list, for error messages.

    Raises:
        UserError: No images, or none of the wanted maps.
    """

    def __init__(
        self,
        root: Path,
        entries: Sequence[ImagePairs] | None = None,
        *,
        maps: Maps = NO_MAPS,
        csv: Path | None = None,
    ):
        self.root, self.maps, self.csv = root, maps, csv
        self.entries = _unlabelled(root) if entries is None else entries
        self.max_pairs = max((len(entry.relation) for entry in self.entries), default=0)
        self._fixed_sizes = {key: self._fixed_size(key) for key in MAP_FOLDERS if getattr(maps, key) is not None}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Example:
        entry = self.entries[index]
        raw, where = self.raw(index), self._where(entry)
        example = decode(raw, where, self.maps)
        height, width = example["image"].shape[:2]
        if entry.size is not None and entry.size != (height, width):
            raise UserError(
                f"{where}: {entry.path} is {width}x{height} but the CSV says {entry.size[1]}x{entry.size[0]};"
                " correct the line (width,height of the upright image) or replace the image"
            )
        for key, fixed_size in self._fixed_sizes.items():
            if key in example and example[key].shape != fixed_size:
                _check_aspect(example[key].shape, (height, width), f"{where}: {map_path(self.root, entry, key)}")
        return example

    @property
    def name(self) -> str:
        """What errors name: the file that the entries come from, or the folder."""
        return str(self.csv or self.root)

    @property
    def map_keys(self) -> tuple[MapKey, ...]:
        """The maps that are read."""
        return tuple(self._fixed_sizes)

    def checked(self, index: int) -> RawExample:
        """The files of one example that can be read.

        Raises:
            UserError: As reading it.
        """
        self[index]
        return self.raw(index)

    def raw(self, index: int) -> RawExample:
        """The files of one example.

        Raises:
            UserError: The image is missing.
        """
        entry = self.entries[index]
        try:
            image = read_bytes(self.root / entry.path)
        except UserError as error:
            raise UserError(f"{self._where(entry)}: {error}") from None
        paths = {key: map_path(self.root, entry, key) for key in self._fixed_sizes}
        encoded = {key: read_bytes(path) for key, path in paths.items() if path.is_file()}
        return RawExample(
            name=entry.path,
            image=image,
            points=entry.points,
            relation=entry.relation,
            depth=encoded.get("depth", b""),
            teacher_depth=encoded.get("teacher_depth", b""),
        )

    def _where(self, entry: ImagePairs) -> str:
        return f"{self.csv}:{entry.line}" if self.csv else str(self.root)

    def _fixed_size(self, key: MapKey) -> tuple[int, ...] | None:
        """The size that maps of a network with a fixed input share, whatever the aspect of the image."""
        sample = list(itertools.islice(find_maps(self.root, self.entries, key), 5))
        if not sample:
            if not self.maps.needs(key):
                return None
            raise UserError(
                f"{self.root / MAP_FOLDERS[key]}: holds no map for any image, the first would be"
                f" {map_path(self.root, self.entries[0], key).name}; {WITHOUT_MAPS[key]}"
            )
        size, count = Counter(read_map(path).shape for path in sample).most_common(1)[0]
        return size if count > 1 else None


class PairsFolder(ImageFolder):
    """A folder of images with a CSV of pairs; a `Source`.

    Args:
        csv: The pairs, in the format of `mdepth_jax.data.pairs`.
        root: The folder that the paths in the CSV start from; the CSV's own by default.
        maps: The maps to read.

    Raises:
        UserError: A mistake in the CSV, or none of the wanted maps.
    """

    def __init__(self, csv: Path, root: Path | None = None, *, maps: Maps = NO_MAPS):
        super().__init__(root or csv.parent, parse_pairs(csv), maps=maps, csv=csv)


def open_source(path: Path, split: str | None = None, *, root: Path | None = None, maps: Maps = NO_MAPS) -> Source:
    """Opens a data set, whatever form it has.

    Args:
        path: A CSV of pairs, a folder with `pairs_<split>.csv`, `<split>.csv` or `<split>.txt` (a list of images
            without pairs), a directory that `python -m mdepth_jax.prepare` wrote, or TFDS's `nyu_depth_v2`.
        split: The split's name; not needed for a CSV. None for a folder: the images below `images`, without
            pairs.
        root: The folder that the paths in a CSV start from; the CSV's own by default.
        maps: The maps to read.

    Raises:
        UserError: There is no such data set or split, or it has a mistake.
    """
    if path.is_file():
        return PairsFolder(path, root, maps=maps)
    if not path.is_dir():
        raise UserError(
            f"{path}: no such file or folder; give a CSV of pairs or the folder of a data set"
            " (of TFDS's own: `tfds build nyu_depth_v2 --file_format=array_record`)"
        )
    prepared = prepared_directory(path)
    if prepared:
        # TFDS takes seconds to import.
        if json.loads((prepared / "dataset_info.json").read_text())["name"] == "nyu_depth_v2":
            from mdepth_jax.data.nyuv2 import TfdsNyuv2

            return TfdsNyuv2(prepared, split or "train", maps=maps)
        from mdepth_jax.data.records import Records

        return Records(prepared, split or "train", maps=maps)
    if split is None:
        return ImageFolder(root or path, maps=maps)
    for csv in (path / f"pairs_{split}.csv", path / f"{split}.csv"):
        if csv.is_file():
            return PairsFolder(csv, root, maps=maps)
    file = path / f"{split}.txt"
    if file.is_file():
        return ImageFolder(root or path, _listed(root or path, file), maps=maps, csv=file)
    raise UserError(
        f"{path}: holds no pairs_{split}.csv, {split}.csv or {split}.txt; name the CSV itself or another split"
    )


def find_splits(path: Path) -> list[str]:
    """The names of the splits of prepared records; of a folder those that training asks for."""
    prepared = prepared_directory(path)
    if not prepared:
        return ["train", "test"]
    return sorted(split["name"] for split in json.loads((prepared / "dataset_info.json").read_text())["splits"])


def prepared_directory(path: Path) -> Path | None:
    """Where below `path` prepared records lie, None if there are none."""
    for pattern in ("dataset_info.json", "*/dataset_info.json", "*/*/dataset_info.json"):
        for found in sorted(path.glob(pattern)):
            return found.parent
    return None


def _unlabelled(root: Path) -> list[ImagePairs]:
    paths = sorted(path for path in (root / "images").rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise UserError(f"{root / 'images'}: holds no images; put the images there or give a CSV of pairs")
    return [ImagePairs(path.relative_to(root).as_posix(), *NO_PAIRS, None, 0) for path in paths]


def _listed(root: Path, file: Path) -> list[ImagePairs]:
    paths, problems = scan_list(file, find_images(root / "images"))
    if problems:
        raise problems[0]
    return [ImagePairs(path.relative_to(root).as_posix(), *NO_PAIRS, None, line) for line, path in paths.items()]


def _check_aspect(map_size: tuple[int, ...], image_size: tuple[int, int], name: str) -> None:
    """The map may be the image scaled by any factor and rounded to whole pixels."""
    (map_height, map_width), (height, width) = map_size, image_size
    if abs(map_height * width - map_width * height) >= height + width:
        raise UserError(
            f"{name} is {map_width}x{map_height}, not the shape of its {width}x{height} image;"
            " make it anew from this image"
        )
