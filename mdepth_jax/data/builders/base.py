"""Prepared data sets: TFDS writes examples into array_record files, which give random access.

The records keep the encoded files, so that they are as large as the data set and lose nothing.
"""

import abc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mdepth_jax.data.builders.frames import DepthFrames, Frame, PairDrawing
from mdepth_jax.data.builders.raw import RawSource, parts_of, read_part
from mdepth_jax.data.pairs import scan_pairs
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import MAP_FOLDERS, Maps, find_maps
from mdepth_jax.data.types import RawExample
from mdepth_jax.errors import UserError


class RecordsBuilder(tfds.core.GeneratorBasedBuilder, abc.ABC):
    """Writes the records of a data set that lies in TFDS's manual directory.

        builder = Pairs(data_dir=output, file_format="array_record")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=source))

    Args:
        skip_invalid: Whether bad entries are left out and collected in `problems`, or the first one is
            raised.
        beam: Whether TFDS's Beam pipeline reads the examples; the download_config then names the runner. Its workers
            must reach the manual directory and `data_dir`.
        **kwargs: As for every TFDS builder.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, skip_invalid: bool = False, beam: bool = False, **kwargs):
        self.skip_invalid, self.beam = skip_invalid, beam
        self.problems: list[UserError] = []
        self._problem_files: list[Path] = []
        super().__init__(**kwargs)

    @abc.abstractmethod
    def open_splits(self, source: Path) -> dict[str, RawSource]:
        """The splits below the manual directory.

        Raises:
            UserError: The folder is not laid out as `MANUAL_DOWNLOAD_INSTRUCTIONS` says.
        """

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
        splits = self.open_splits(Path(dl_manager.manual_dir))
        for name, split in splits.items():
            self.info.metadata[name] = {"max_pairs": split.max_pairs, "maps": list(split.map_keys)}
        return {name: self._generate_examples(name, split) for name, split in splits.items()}

    def _generate_examples(self, name: str, split: RawSource):
        if not self.beam:
            return self._examples(split)
        from mdepth_jax.data.builders.beam import read_examples  # an optional package

        self._problem_files.append(Path(self._data_dir_root) / f"problems_{name}.tsv")
        return read_examples(parts_of(split), self._problem_files[-1])

    def _process_pipeline_result(self, pipeline_result) -> None:
        for file in self._problem_files:
            rows = (line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines())
            self.report([UserError(message) for _, message in sorted(rows, key=lambda row: int(row[0]))])
            file.unlink()

    def _examples(self, split: RawSource) -> Iterator[tuple[int, RawExample]]:
        written = 0
        for index, read in read_part(0, split):
            if isinstance(read, UserError):
                self.report([read])
            else:
                written += 1
                yield index, read
        if not written:
            raise UserError(f"{split.name}: not one good entry; run without skipping to see the first mistake")

    def layout_error(self, source: Path, missing: str) -> UserError:
        """What `open_splits` raises where the folder lacks something."""
        return UserError(f"{source}: holds no {missing}; " + " ".join(self.MANUAL_DOWNLOAD_INSTRUCTIONS.split()))

    def report(self, problems: list[UserError]) -> None:
        """Collects bad entries where they are left out, raises the first one otherwise."""
        if problems and not self.skip_invalid:
            raise problems[0]
        self.problems += problems


class Pairs(RecordsBuilder):
    """A folder of images with CSVs of pairs, one per split (`mdepth_jax.data.sources` has the layout)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with pairs_<split>.csv (or <split>.csv) and the images that it names."

    def find_splits(self, source: Path) -> dict[str, tuple[Path, Path]]:
        """The CSV of each split and the folder that its paths start from."""
        return {csv.stem.removeprefix("pairs_"): (csv, source) for csv in sorted(source.glob("*.csv"))}

    def open_splits(self, source: Path) -> dict[str, RawSource]:
        """Reads the CSVs."""
        splits = self.find_splits(source)
        if not splits:
            raise self.layout_error(source, "CSV of pairs")
        return {split: self._open(*found) for split, found in splits.items()}

    def _open(self, csv: Path, root: Path) -> ImageFolder:
        entries, problems = scan_pairs(csv)
        self.report(problems)
        depth, teacher = (1.0 if any(find_maps(root, entries, key)) else None for key in MAP_FOLDERS)
        return ImageFolder(root, entries, maps=Maps(depth, teacher), csv=csv)


class DepthBuilder(RecordsBuilder, abc.ABC):
    """Writes the records of a data set of `DepthFrames`.

    Args:
        drawing: How ordinal pairs are drawn from the depth maps; None for none.
        **kwargs: As for `RecordsBuilder`.
    """

    CROP: tuple[slice, slice] = slice(None), slice(None)
    SIZE: tuple[int, int] | None = None

    def __init__(self, *, drawing: PairDrawing | None = None, **kwargs):
        self.drawing = drawing
        super().__init__(**kwargs)

    def frames(self, source: Path, entries: Sequence[Any], load: Callable[[Any], Frame]) -> DepthFrames:
        """One split of frames of `SIZE`, if that is not None; pairs are drawn in the rows and columns of `CROP`."""
        return DepthFrames(str(source), entries, load, drawing=self.drawing, crop=self.CROP, size=self.SIZE)
