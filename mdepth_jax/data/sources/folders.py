"""Data sets in folders, and `open_source`, which finds out what a path holds.

A folder of pairs is laid out like this; `depth` and `teacher` are optional, and `train` may be any name of a
split:

    pairs_train.csv        in the format of `mdepth_jax.data.pairs`; or train.txt, names of images without pairs
    images/0002.jpg        where the CSV says
    depth/0002.png         depth map: grey PNG of 8 or 16 bits, 0 = unknown, larger = farther
    teacher/0002.png       a teacher's prediction for the image, as depth; it covers the whole image
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mdepth_jax.data.images import read_bytes, read_map
from mdepth_jax.data.listing import IMAGE_SUFFIXES
from mdepth_jax.data.pairs import NO_PAIRS, ImagePairs, parse_pairs
from mdepth_jax.data.sources.maps import MAP_FOLDERS, NO_MAPS, WITHOUT_MAPS, Maps, decode, find_maps, map_path
from mdepth_jax.data.types import Example, MapKey, RawExample
from mdepth_jax.errors import UserError


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


def _unlabelled(root: Path) -> list[ImagePairs]:
    paths = sorted(path for path in (root / "images").rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise UserError(f"{root / 'images'}: holds no images; put the images there or give a CSV of pairs")
    return [ImagePairs(path.relative_to(root).as_posix(), *NO_PAIRS, None, 0) for path in paths]


def _check_aspect(map_size: tuple[int, ...], image_size: tuple[int, int], name: str) -> None:
    """The map may be the image scaled by any factor and rounded to whole pixels."""
    (map_height, map_width), (height, width) = map_size, image_size
    if abs(map_height * width - map_width * height) >= height + width:
        raise UserError(
            f"{name} is {map_width}x{map_height}, not the shape of its {width}x{height} image;"
            " make it anew from this image"
        )
