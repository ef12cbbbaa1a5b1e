"""Frames of NYU Depth V2, 48 thousand, that TFDS itself publishes as `nyu_depth_v2`."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.pairs import NO_PAIRS
from mdepth_jax.data.sources.maps import WITHOUT_MAPS, Maps
from mdepth_jax.data.sources.records import check_split
from mdepth_jax.data.types import Example
from mdepth_jax.errors import UserError


class TfdsNyuv2:
    """One split of TFDS's own `nyu_depth_v2`; a `Source` without pairs.

    Args:
        directory: Folder that holds `dataset_info.json`.
        split: Name of the split, "train" or "validation", or a part of it such as `train[:90%]`.
        maps: Maps to read. If `maps.depth` is not None, depth is read in meters whatever its value: TFDS stores no
            codes.

    Raises:
        UserError: If there is no such split, if it lacks random access, or if a teacher's maps are wanted.
    """

    max_pairs = 0
    info = KNOWN_SETS["nyuv2"]
    teacher_meaning = ""

    def __init__(self, directory: Path, split: str, *, maps: Maps):
        builder = tfds.builder_from_directory(directory)
        check_split(builder, split)
        if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            raise UserError(
                f"{directory}: has no random access; write it again by: tfds build nyu_depth_v2, with the flag"
                " file_format=array_record"
            )
        if maps.needs("teacher_depth"):
            raise UserError(f"{directory}: holds no teacher's maps; {WITHOUT_MAPS['teacher_depth']}")
        self.maps = maps
        self.split = "test" if split == "validation" else split  # TFDS's name for the 654 official test frames
        self._records = builder.as_data_source(split)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Example:
        raw = self._records[index]
        points, relation = NO_PAIRS
        example = Example(image=raw["image"], points=points, relation=relation)
        if self.maps.depth is not None:
            depth = raw["depth"].astype(np.float32)
            example["depth"] = np.where(depth > 0, depth, np.float32(np.nan))
        return example
