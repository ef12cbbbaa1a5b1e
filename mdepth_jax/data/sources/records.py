"""Prepared data sets: array_record files that TFDS wrote, which give random access."""

from pathlib import Path

import tensorflow_datasets as tfds

from mdepth_jax.data.sources.maps import MAP_FOLDERS, NO_MAPS, WITHOUT_MAPS, Maps, decode
from mdepth_jax.data.types import Example
from mdepth_jax.errors import UserError


class Records:
    """One split of a prepared data set; a `Source` with random access.

    Args:
        directory: The folder that holds `dataset_info.json`.
        split: The split's name, or a part of it such as `train[:90%]`.
        maps: The maps to read.

    Raises:
        UserError: There is no such split, or no example has a wanted map.
    """

    def __init__(self, directory: Path, split: str, *, maps: Maps = NO_MAPS):
        builder = tfds.builder_from_directory(directory)
        whole = check_split(builder, split)
        metadata = builder.info.metadata[whole]
        for key, folder in MAP_FOLDERS.items():
            if maps.needs(key) and key not in metadata["maps"]:
                raise UserError(
                    f"{directory}: split {whole!r} was prepared without maps in {folder!r}; {WITHOUT_MAPS[key]}"
                )
        self.maps = maps
        self.max_pairs = metadata["max_pairs"]
        self._where = f"{directory}: {split}"
        self._records = builder.as_data_source(split)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Example:
        raw = self._records[index]
        raw["name"] = raw["name"].decode()
        return decode(raw, f"{self._where}[{index}]", self.maps)


def check_split(builder: tfds.core.DatasetBuilder, split: str) -> str:
    """Gives the name of the whole split that `split`, such as `train[:90%]`, is a part of.

    Raises:
        UserError: There is no such split, or the part is not written as TFDS reads it.
    """
    whole = split.split("[")[0]
    splits = builder.info.splits
    if whole not in splits:
        raise UserError(f"{builder.data_dir}: holds no split {split!r}; choose one of {', '.join(sorted(splits))}")
    try:
        tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    except (ValueError, AssertionError) as error:
        raise UserError(f"{builder.data_dir}: {split!r} is no part of a split; write {whole}[:90%]") from error
    return whole
