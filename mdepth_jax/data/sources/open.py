"""Detection of the format of a data set."""

import json
from pathlib import Path

from mdepth_jax.data.listing import find_images, scan_list
from mdepth_jax.data.pairs import NO_PAIRS, ImagePairs
from mdepth_jax.data.sources.folders import ImageFolder, PairsFolder
from mdepth_jax.data.sources.maps import NO_MAPS, Maps
from mdepth_jax.data.types import Source
from mdepth_jax.errors import UserError


def open_source(path: Path, split: str | None = None, *, root: Path | None = None, maps: Maps = NO_MAPS) -> Source:
    """Opens a data set in any format.

    Args:
        path: Path of a CSV of pairs, of a folder with `pairs_<split>.csv`, `<split>.csv` or `<split>.txt` (a list of
            images without pairs), of prepared records, or of TFDS's `nyu_depth_v2`.
        split: Name of the split; not needed for a CSV. None opens the images below `path/images`, without pairs.
        root: Folder from which the paths in a CSV start; the CSV's own by default.
        maps: Maps to read.

    Raises:
        UserError: If there is no such data set or split, or if it is invalid.
    """
    if path.is_file():
        return PairsFolder(path, root, maps=maps)
    if not path.is_dir():
        raise UserError(
            f"{path}: no such file or folder; choose a CSV of pairs or the folder of a data set"
            " (TFDS's own is written by: tfds build nyu_depth_v2, with the flag file_format=array_record)"
        )
    prepared = prepared_directory(path)
    if prepared:  # its classes are imported here because TFDS takes seconds to import
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
        return ImageFolder(root or path, _read_list(root or path, file), maps=maps, csv=file)
    raise UserError(
        f"{path}: holds no pairs_{split}.csv, {split}.csv or {split}.txt; name the CSV itself or another split"
    )


def find_splits(path: Path) -> list[str]:
    """Returns the names of the splits of prepared records; for a folder, those that training reads by default."""
    prepared = prepared_directory(path)
    if not prepared:
        return ["train", "test"]
    return sorted(split["name"] for split in json.loads((prepared / "dataset_info.json").read_text())["splits"])


def prepared_directory(path: Path) -> Path | None:
    """Returns the folder at or below `path` that holds prepared records, or None."""
    for pattern in ("dataset_info.json", "*/dataset_info.json", "*/*/dataset_info.json"):
        for found in sorted(path.glob(pattern)):
            return found.parent
    return None


def _read_list(root: Path, file: Path) -> list[ImagePairs]:
    paths, problems = scan_list(file, find_images(root / "images"))
    if problems:
        raise problems[0]
    return [ImagePairs(path.relative_to(root).as_posix(), *NO_PAIRS, None, line) for line, path in paths.items()]
