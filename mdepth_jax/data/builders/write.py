"""Preparation of a data set: from a folder of raw data to records."""

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from mdepth_jax.data.about import ABOUT, write_about
from mdepth_jax.data.builders.base import DepthBuilder, Pairs, RecordsBuilder
from mdepth_jax.data.builders.diw import Diw
from mdepth_jax.data.builders.folder import DepthFolder
from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.mannequin import Mannequin
from mdepth_jax.data.builders.nyuv2 import Nyuv2
from mdepth_jax.data.builders.redweb import Redweb
from mdepth_jax.data.images import read_map
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError
from mdepth_jax.files import write_text
from mdepth_jax.licenses import UNKNOWN

BUILDERS: dict[str, type[RecordsBuilder]] = {
    "pairs": Pairs,
    "diw": Diw,
    "folder": DepthFolder,
    "nyuv2": Nyuv2,
    "redweb": Redweb,
    "mannequin": Mannequin,
}


NO_ABOUT = f"data set: unknown; a file {ABOUT} in its folder would name it and its terms (docs/data.md)"


def write_records(
    dataset: str,
    folder: Path,
    output: Path,
    *,
    skip_invalid: bool = False,
    drawing: PairDrawing | None = None,
    beam_runner: str = "",
    beam_options: str = "",
) -> None:
    """Writes the records of a data set, and the pairs drawn for it as `pairs_<split>.csv`.

    Args:
        dataset: Name of the data set, a key of `BUILDERS`.
        folder: Folder of the raw data set.
        output: Folder of the records, created if needed.
        skip_invalid: Whether invalid entries are left out and listed in `output/invalid.txt`; otherwise the first one
            raises.
        drawing: Rule by which pairs are drawn from depth maps; None for no pairs.
        beam_runner: Runner of Apache Beam, such as "DirectRunner"; "" to read in this process.
        beam_options: Flags of the Beam pipeline, separated by spaces.

    Raises:
        UserError: If an entry is invalid (or all of them), if pairs are to be drawn for a data set that has pairs, or
            if Beam is not installed.
        OSError: If the disk is full.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(f"{folder}: no such folder, or an empty one; choose the folder of the raw data set")
    builder_class = BUILDERS[dataset]
    options = {}
    if drawing and not issubclass(builder_class, DepthBuilder):
        raise UserError(f"`pairs_per_image`: {dataset} has pairs of its own; leave it out, or prepare a depth folder")
    if drawing:
        options["drawing"] = drawing
    builder = builder_class(
        data_dir=output, file_format="array_record", skip_invalid=skip_invalid, beam=bool(beam_runner), **options
    )
    _prepare(builder, folder, output, _download_config(folder, beam_runner, beam_options))
    shutil.rmtree(output / "downloads", ignore_errors=True)
    info = builder.identify(folder)
    if not builder.KEY:
        print(f"terms of {info.name}: {info.terms or UNKNOWN} ({info.reference})" if info.name else NO_ABOUT)
    if drawing:
        write_about(output, info)  # of the pairs
    for split, info in builder.info.splits.items():
        print(f"{split}: {info.num_examples} images")
        if drawing:
            write_pairs(output / f"pairs_{split}.csv", _drawn_pairs(builder, split, folder, output))
    if builder.problems:
        report = output / "invalid.txt"
        write_text(report, "".join(f"{problem}\n" for problem in builder.problems))
        print(f"left out: {len(builder.problems)} entries, listed in {report}")


def _prepare(
    builder: RecordsBuilder, folder: Path, output: Path, download_config: tfds.download.DownloadConfig
) -> None:
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(download_config=download_config)
    except (RuntimeError, ValueError) as error:  # array_record and Beam wrap the errors that they meet
        if os.strerror(errno.ENOSPC) in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output)) from None
        if builder.beam and "number of generated examples is 0" in str(error):
            raise UserError(
                f"{folder}: a split has no valid entry; run without Apache Beam to see the first error"
            ) from None
        raise


def _download_config(folder: Path, beam_runner: str, beam_options: str) -> tfds.download.DownloadConfig:
    if not beam_runner:
        return tfds.download.DownloadConfig(manual_dir=folder)
    from mdepth_jax.data.builders.beam import beam  # an optional package

    try:
        runner = beam.runners.create_runner(beam_runner)
    except (ImportError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"`beam_runner` {beam_runner}: Apache Beam has no such runner here ({reason})") from None
    options = beam.options.pipeline_options.PipelineOptions(shlex.split(beam_options))
    return tfds.download.DownloadConfig(manual_dir=folder, beam_runner=runner, beam_options=options)


def _drawn_pairs(builder: RecordsBuilder, split: str, folder: Path, output: Path) -> Iterator[ImagePairs]:
    """Yields the pairs in the records; writes images that are no files of `folder` next to the CSV."""
    for raw in builder.as_data_source(split):
        name = raw["name"].decode()
        if not (folder / name).is_file():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(raw["image"])
        height, width = read_map(raw["depth"], name).shape
        yield ImagePairs(name, raw["points"], raw["relation"], (height, width), 0)
