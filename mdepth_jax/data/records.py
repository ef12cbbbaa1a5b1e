"""Prepared data sets: TFDS writes a folder of pairs into array_record files, which give random access.

The records keep the encoded files, so that they are as large as the folder and lose nothing.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from mdepth_jax.data.pairs import scan_pairs
from mdepth_jax.data.sources import MAP_FOLDERS, NO_MAPS, ImageFolder, Maps, RawExample, decode, find_maps
from mdepth_jax.data.types import Example
from mdepth_jax.errors import UserError


class Pairs(tfds.core.GeneratorBasedBuilder):
    """A folder of images with CSVs of pairs, one per split (`mdepth_jax.data.sources` has the layout).

    The folder is TFDS's manual directory:

        builder = Pairs(data_dir=output, file_format="array_record")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=source))

    Args:
        skip_invalid: Whether bad entries are left out and collected in `problems`, or the first one is
            raised.
        **kwargs: As for every TFDS builder.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with pairs_<split>.csv (or <split>.csv) and the images that it names."

    def __init__(self, *, skip_invalid: bool = False, **kwargs):
        self.skip_invalid = skip_invalid
        self.problems: list[UserError] = []
        super().__init__(**kwargs)

    def find_splits(self, source: Path) -> dict[str, tuple[Path, Path]]:
        """The CSV of each split and the folder that its paths start from."""
        return {csv.stem.removeprefix("pairs_"): (csv, source) for csv in sorted(source.glob("*.csv"))}

    def _info(self) -> tfds.core.DatasetInfo:
        encoded = tfds.features.Tensor(shape=(), dtype=np.object_)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "image": encoded,
                    "points": tfds.features.Tensor(shape=(None, 2, 2), dtype=np.int32),
                    "relation": tfds.features.Tensor(shape=(None,), dtype=np.int32),
                    "depth": encoded,
                    "teacher_depth": encoded,
                }
            ),
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        source = Path(dl_manager.manual_dir)
        splits = self.find_splits(source)
        if not splits:
            raise UserError(f"{source}: holds no CSV of pairs; {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        folders = {split: self._open(*found) for split, found in splits.items()}
        for split, folder in folders.items():
            maps = [key for key in MAP_FOLDERS if getattr(folder.maps, key)]
            self.info.metadata[split] = {"max_pairs": folder.max_pairs, "maps": maps}
        return {split: self._generate_examples(folder) for split, folder in folders.items()}

    def _open(self, csv: Path, root: Path) -> ImageFolder:
        entries, problems = scan_pairs(csv)
        self._report(problems)
        present = {key: 1.0 for key in MAP_FOLDERS if any(find_maps(root, entries, key))}
        return ImageFolder(root, entries, maps=Maps(**present), csv=csv)

    def _generate_examples(self, folder: ImageFolder) -> Iterator[tuple[int, RawExample]]:
        written = 0
        for index in range(len(folder)):
            try:
                folder[index]
            except UserError as error:
                self._report([error])
            else:
                written += 1
                yield index, folder.raw(index)
        if not written:
            raise UserError(f"{folder.csv}: not one good entry; run without skipping to see the first mistake")

    def _report(self, problems: list[UserError]) -> None:
        if problems and not self.skip_invalid:
            raise problems[0]
        self.problems += problems


class Records:
    """One split of a prepared data set; a `Source` with random access.

    Args:
        directory: The folder that holds `dataset_info.json`.
        split: The split's name.
        maps: The maps to read.

    Raises:
        UserError: There is no such split, or no example has a wanted map.
    """

    def __init__(self, directory: Path, split: str, *, maps: Maps = NO_MAPS):
        builder = tfds.builder_from_directory(directory)
        splits = ", ".join(sorted(builder.info.splits))
        if split not in builder.info.splits:
            raise UserError(f"{directory}: holds no split {split!r}; choose one of {splits}")
        metadata = builder.info.metadata[split]
        for key, folder in MAP_FOLDERS.items():
            if getattr(maps, key) is not None and key not in metadata["maps"]:
                raise UserError(
                    f"{directory}: split {split!r} was prepared without maps in {folder!r};"
                    " prepare it again with them or switch them off"
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
