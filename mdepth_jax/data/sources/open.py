"""Finds out what a path holds and opens it."""

import json
from pathlib import Path

from mdepth_jax.data.listing import find_images, scan_list
from mdepth_jax.data.pairs import NO_PAIRS, ImagePairs
from mdepth_jax.data.sources.folders import ImageFolder, PairsFolder
from mdepth_jax.data.sources.maps import NO_MAPS, Maps
from mdepth_jax.data.types import Source
from mdepth_jax.errors import UserError


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
            from mdepth_jax.data.sources.tfds_nyuv2 import TfdsNyuv2

            return TfdsNyuv2(prepared, split or "train", maps=maps)
        from mdepth_jax.data.sources.records import Records

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


def _listed(root: Path, file: Path) -> list[ImagePairs]:
    paths, problems = scan_list(file, find_images(root / "images"))
    if problems:
        raise problems[0]
    return [ImagePairs(path.relative_to(root).as_posix(), *NO_PAIRS, None, line) for line, path in paths.items()]
