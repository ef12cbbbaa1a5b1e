"""Builders of prepared data sets: TFDS writes examples into array_record files, which give random access.

Records hold the encoded images as they are in the raw data set: no larger, and without loss.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mdepth_jax.data.about import ABOUT, KNOWN_SETS, read_about
from mdepth_jax.data.builders.frames import DepthFrames, Frame, PairDrawing
from mdepth_jax.data.builders.raw import RawSplit, partition_split, read_examples
from mdepth_jax.data.map_info import read_map_info
from mdepth_jax.data.pairs import scan_pairs
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import MAP_FOLDERS, Maps, find_maps
from mdepth_jax.data.sources.records import ABOUT_KEY, TEACHER_KEY
from mdepth_jax.data.types import DataSetInfo, RawExample
from mdepth_jax.errors import UserError


class RecordsBuilder(tfds.core.GeneratorBasedBuilder, abc.ABC):
    """Builder that writes the records of a data set found in TFDS's manual directory.

        builder = Pairs(data_dir=output, file_format="array_record")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder))

    Args:
        skip_invalid: Whether invalid entries are left out and collected in `problems`; otherwise the first one
            raises.
        beam: Whether TFDS's Beam pipeline reads the examples; the download_config then names the runner. Its workers
            must reach the manual directory and `data_dir`.
        **kwargs: Arguments of every TFDS builder.

    Attributes:
        problems: Errors of the entries that were left out.
    """

    VERSION = tfds.core.Version("1.0.0")
    KEY = ""
    """Key of the published data set in `mdepth_jax.data.about.KNOWN_SETS`; "" for any data in a format."""

    def __init__(self, *, skip_invalid: bool = False, beam: bool = False, **kwargs):
        self.skip_invalid, self.beam = skip_invalid, beam
        self.problems: list[UserError] = []
        self._problem_files: list[Path] = []
        super().__init__(**kwargs)

    @abc.abstractmethod
    def open_splits(self, folder: Path) -> dict[str, RawSplit]:
        """Opens the splits of a raw data set by their names.

        Args:
            folder: Folder of the raw data set: TFDS's manual directory.

        Raises:
            UserError: If the folder is not laid out as `MANUAL_DOWNLOAD_INSTRUCTIONS` says.
        """

    def identify(self, folder: Path) -> DataSetInfo:
        """Identifies the raw data set: the published one of the builder, or what the folder's `about.json` states.

        Raises:
            UserError: If `about.json` is invalid, or names another data set than that of the builder.
        """
        info = read_about(folder)
        if not self.KEY:
            return info
        if info.key not in ("", self.KEY):
            raise UserError(
                f"{folder / ABOUT}: key 'key' is {info.key!r}, but the folder is prepared as {self.KEY}; correct it"
            )
        return info if info.key else KNOWN_SETS[self.KEY]

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
        folder = Path(dl_manager.manual_dir)
        splits = self.open_splits(folder)
        self.info.metadata[ABOUT_KEY] = dataclasses.asdict(info) if (info := self.identify(folder)).name else None
        teacher = read_map_info(folder / MAP_FOLDERS["teacher_depth"])
        self.info.metadata[TEACHER_KEY] = dataclasses.asdict(teacher) if teacher.meaning else None
        for name, split in splits.items():
            self.info.metadata[name] = {"max_pairs": split.max_pairs, "maps": list(split.map_keys)}
        return {name: self._generate_examples(name, split) for name, split in splits.items()}

    def _generate_examples(self, name: str, split: RawSplit):
        if not self.beam:
            return self._read_valid(split)
        from mdepth_jax.data.builders.beam import read_in_parallel  # an optional package

        self._problem_files.append(Path(self._data_dir_root) / f"problems_{name}.tsv")
        return read_in_parallel(partition_split(split), self._problem_files[-1])

    def _process_pipeline_result(self, pipeline_result) -> None:
        for file in self._problem_files:
            rows = (line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines())
            self.report([UserError(message) for _, message in sorted(rows, key=lambda row: int(row[0]))])
            file.unlink()

    def _read_valid(self, split: RawSplit) -> Iterator[tuple[int, RawExample]]:
        written = 0
        for index, read in read_examples(split):
            if isinstance(read, UserError):
                self.report([read])
            else:
                written += 1
                yield index, read
        if not written:
            raise UserError(f"{split.name}: has no valid entry; set `skip_invalid=False` to see the first error")

    def layout_error(self, folder: Path, missing: str) -> UserError:
        """Builds the error that `open_splits` raises when the raw data set lacks something."""
        return UserError(f"{folder}: holds no {missing}; " + " ".join(self.MANUAL_DOWNLOAD_INSTRUCTIONS.split()))

    def report(self, problems: list[UserError]) -> None:
        """Collects the errors of invalid entries if they are left out, raises the first one otherwise."""
        if problems and not self.skip_invalid:
            raise problems[0]
        self.problems += problems


class Pairs(RecordsBuilder):
    """Builder for a folder of images with CSVs of pairs, one per split (layout: `mdepth_jax.data.sources.folders`)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with pairs_<split>.csv (or <split>.csv) and the images that it names."

    def find_splits(self, folder: Path) -> dict[str, tuple[Path, Path]]:
        """Finds the CSV of each split and the folder that its paths start from."""
        return {csv.stem.removeprefix("pairs_"): (csv, folder) for csv in sorted(folder.glob("*.csv"))}

    def open_splits(self, folder: Path) -> dict[str, RawSplit]:
        """Reads the CSVs."""
        splits = self.find_splits(folder)
        if not splits:
            raise self.layout_error(folder, "CSV of pairs")
        return {split: self._open(*found) for split, found in splits.items()}

    def _open(self, csv: Path, root: Path) -> ImageFolder:
        entries, problems = scan_pairs(csv)
        self.report(problems)
        has_depth, has_teacher = (any(find_maps(root, entries, key)) for key in MAP_FOLDERS)
        maps = Maps(depth=1.0 if has_depth else None, teacher_depth=0.0 if has_teacher else None)  # any unit will do
        return ImageFolder(root, entries, maps=maps, csv=csv)


class DepthBuilder(RecordsBuilder, abc.ABC):
    """Builder for a data set of images with a depth map each.

    Args:
        drawing: Rule by which ordinal pairs are drawn from the depth maps; None for no pairs.
        **kwargs: Arguments of `RecordsBuilder`.

    Attributes:
        CROP: Rows and columns of the map from which pairs are drawn.
        SIZE: (height, width) of all images; None if they differ.
    """

    CROP: tuple[slice, slice] = slice(None), slice(None)
    SIZE: tuple[int, int] | None = None

    def __init__(self, *, drawing: PairDrawing | None = None, **kwargs):
        self.drawing = drawing
        super().__init__(**kwargs)

    def frames(self, name: Path, entries: Sequence[Any], load: Callable[[Any], Frame]) -> DepthFrames:
        """Creates one split with the `drawing`, `CROP` and `SIZE` of this builder; arguments as of `DepthFrames`."""
        return DepthFrames(str(name), entries, load, drawing=self.drawing, crop=self.CROP, size=self.SIZE)
