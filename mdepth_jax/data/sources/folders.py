"""Data sets read from folders of images.

The layout of a folder; `depth` and `teacher` are optional, and `train` may be any name of a split:

    pairs_train.csv        in the format of `mdepth_jax.data.pairs`; or train.txt, names of images without pairs
    images/0002.jpg        at the paths in the CSV
    depth/0002.png         depth map: gray PNG of 8 or 16 bits, 0 = unknown, larger = farther
    teacher/0002.png       a teacher's prediction in the same format, which covers the full image
    teacher/about.json     optional: the meaning and the unit of the maps, see `mdepth_jax.data.map_info`
    about.json             the identity of the data set, see `mdepth_jax.data.about`
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mdepth_jax.data.about import read_about
from mdepth_jax.data.images import read_bytes, read_map
from mdepth_jax.data.listing import IMAGE_SUFFIXES
from mdepth_jax.data.map_info import read_map_info
from mdepth_jax.data.pairs import NO_PAIRS, ImagePairs, parse_pairs
from mdepth_jax.data.sources.maps import MAP_FOLDERS, NO_MAPS, WITHOUT_MAPS, Maps, decode_example, find_maps, map_path
from mdepth_jax.data.types import Example, MapKey, RawExample
from mdepth_jax.errors import UserError


class ImageFolder:
    """Images in a folder with their ordinal pairs; a `Source`.

    Args:
        root: Folder from which the paths of the images start.
        entries: Images and their pairs; by default every image below `root/images`, without pairs.
        maps: Maps to read. An example lacks a map that its image lacks.
        csv: File of the entries, a CSV or a list, for error messages; `<split>.csv` or `pairs_<split>.csv` also names
            the split.

    Attributes:
        max_pairs: Largest number of pairs of an image.
        info: Identity of the data set: the `about.json` next to the entries, or in the root.
        split: Name of the split; empty without a file of the entries.
        teacher_meaning: Meaning of the teacher's maps; empty if unknown.

    Raises:
        UserError: If there are no images, no image has a wanted map, or the teacher's maps have another unit.
    """

    def __init__(
        self,
        root: Path,
        entries: Sequence[ImagePairs] | None = None,
        *,
        maps: Maps = NO_MAPS,
        csv: Path | None = None,
    ):
        teacher = root / MAP_FOLDERS["teacher_depth"]
        self.root, self.csv = root, csv
        self.maps = maps if maps.teacher_depth is None else maps.with_teacher(read_map_info(teacher), str(teacher))
        self.teacher_meaning: str = self.maps.teacher.meaning
        self.info = read_about(*([csv.parent] if csv else []), root)
        self.split = csv.stem.removeprefix("pairs_").removeprefix("DIW_") if csv else ""
        self.entries = _list_images(root) if entries is None else entries
        self.max_pairs = max((len(entry.relation) for entry in self.entries), default=0)
        self._fixed_sizes = {key: self._find_fixed_size(key) for key in MAP_FOLDERS if getattr(maps, key) is not None}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Example:
        entry = self.entries[index]
        raw, location = self.load_raw(index), self._location(entry)
        example = decode_example(raw, location, self.maps)
        height, width = example["image"].shape[:2]
        if entry.size is not None and entry.size != (height, width):
            raise UserError(
                f"{location}: {entry.path} is {width}x{height} but the CSV says {entry.size[1]}x{entry.size[0]};"
                " correct the line (width,height of the upright image) or replace the image"
            )
        for key, fixed_size in self._fixed_sizes.items():
            if key in example and example[key].shape != fixed_size:
                _check_aspect(example[key].shape, (height, width), f"{location}: {map_path(self.root, entry, key)}")
        return example

    @property
    def name(self) -> str:
        """Returns the file of the entries, or the folder, for error messages."""
        return str(self.csv or self.root)

    @property
    def map_keys(self) -> tuple[MapKey, ...]:
        """Returns the keys of the maps that are read."""
        return tuple(self._fixed_sizes)

    def load_checked(self, index: int) -> RawExample:
        """Reads the files of one example and checks that they can be decoded.

        Raises:
            UserError: If a file is missing or invalid.
        """
        self[index]
        return self.load_raw(index)

    def load_raw(self, index: int) -> RawExample:
        """Reads the files of one example.

        Raises:
            UserError: If the image is missing.
        """
        entry = self.entries[index]
        try:
            image = read_bytes(self.root / entry.path)
        except UserError as error:
            raise UserError(f"{self._location(entry)}: {error}") from None
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

    def _location(self, entry: ImagePairs) -> str:
        return f"{self.csv}:{entry.line}" if self.csv else str(self.root)

    def _find_fixed_size(self, key: MapKey) -> tuple[int, ...] | None:
        """Finds the size shared by the maps of a network with a fixed input, whatever the aspect of the image."""
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
    """Images named by a CSV of ordinal pairs; a `Source`.

    Args:
        csv: CSV of pairs, in the format of `mdepth_jax.data.pairs`.
        root: Folder from which the paths in the CSV start; the CSV's own by default.
        maps: Maps to read.

    Raises:
        UserError: If the CSV is invalid, or no image has a wanted map.
    """

    def __init__(self, csv: Path, root: Path | None = None, *, maps: Maps = NO_MAPS):
        super().__init__(root or csv.parent, parse_pairs(csv), maps=maps, csv=csv)


def _list_images(root: Path) -> list[ImagePairs]:
    paths = sorted(path for path in (root / "images").rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise UserError(f"{root / 'images'}: holds no images; put the images there or choose a CSV of pairs")
    return [ImagePairs(path.relative_to(root).as_posix(), *NO_PAIRS, None, 0) for path in paths]


def _check_aspect(map_size: tuple[int, ...], image_size: tuple[int, int], name: str) -> None:
    """Checks that a map is its image scaled by any factor, with sides rounded to whole pixels."""
    (map_height, map_width), (height, width) = map_size, image_size
    if abs(map_height * width - map_width * height) >= height + width:
        raise UserError(
            f"{name} is {map_width}x{map_height}, not the shape of its {width}x{height} image;"
            " compute it again from this image"
        )
