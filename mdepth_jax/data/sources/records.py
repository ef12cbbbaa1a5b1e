"""Prepared data sets: array_record files written by TFDS, which have random access."""

from pathlib import Path

import tensorflow_datasets as tfds

from mdepth_jax.data.about import parse_about
from mdepth_jax.data.map_info import UNKNOWN_MAPS, parse_map_info
from mdepth_jax.data.sources.maps import MAP_FOLDERS, NO_MAPS, WITHOUT_MAPS, Maps, decode_example
from mdepth_jax.data.types import DataSetInfo, Example
from mdepth_jax.errors import UserError

ABOUT_KEY = "data_set"
"""Entry of the metadata of records that holds the identity of the data set, next to those of the splits."""
TEACHER_KEY = "teacher_maps"
"""Entry that holds the meaning of the teacher's maps, as in `teacher/about.json`; None or missing if unknown."""


class Records:
    """One split of a prepared data set; a `Source`.

    Args:
        directory: Folder that holds `dataset_info.json`.
        split: Name of the split, or a part of it such as `train[:90%]`.
        maps: Maps to read.

    Attributes:
        max_pairs: Largest number of pairs of an image.
        info: Identity of the data set, which `prepare` wrote into the metadata; unknown in older records.
        split: Name of the split, or of the part of it.
        teacher_meaning: Meaning of the teacher's maps; empty if unknown.

    Raises:
        UserError: If there is no such split, or no example has a wanted map.
    """

    def __init__(self, directory: Path, split: str, *, maps: Maps = NO_MAPS):
        builder = tfds.builder_from_directory(directory)
        full_split = check_split(builder, split)
        metadata = builder.info.metadata[full_split]
        for key, folder in MAP_FOLDERS.items():
            if maps.needs(key) and key not in metadata["maps"]:
                raise UserError(
                    f"{directory}: split {full_split!r} was prepared without maps in {folder!r}; {WITHOUT_MAPS[key]}"
                )
        teacher = builder.info.metadata.get(TEACHER_KEY)
        info = parse_map_info(teacher, f"{directory}: metadata of the teacher's maps") if teacher else UNKNOWN_MAPS
        self.maps = maps.with_teacher(info, str(directory))
        self.teacher_meaning: str = self.maps.teacher.meaning
        self.max_pairs = metadata["max_pairs"]
        about = builder.info.metadata.get(ABOUT_KEY)
        self.info = parse_about(about, f"{directory}: metadata") if about else DataSetInfo()
        self.split = split
        self._location = f"{directory}: {split}"
        self._records = builder.as_data_source(split)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Example:
        raw = self._records[index]
        raw["name"] = raw["name"].decode()
        return decode_example(raw, f"{self._location}[{index}]", self.maps)


def check_split(builder: tfds.core.DatasetBuilder, split: str) -> str:
    """Checks that a prepared data set has a split.

    Args:
        builder: Builder of the prepared data set.
        split: Name of the split, or a part of it such as `train[:90%]`.

    Returns:
        The name of the split without the part.

    Raises:
        UserError: If there is no such split, or the part is not in the syntax of TFDS.
    """
    full_split = split.split("[")[0]
    splits = builder.info.splits
    if full_split not in splits:
        raise UserError(f"{builder.data_dir}: holds no split {split!r}; choose one of {', '.join(sorted(splits))}")
    try:
        tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    except (ValueError, AssertionError) as error:
        raise UserError(f"{builder.data_dir}: {split!r} is not a part of a split; write {full_split}[:90%]") from error
    return full_split
