"""From the folder of a published data set to records: the library behind `python -m mdepth_jax.prepare`."""

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

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

BUILDERS: dict[str, type[RecordsBuilder]] = {
    "pairs": Pairs,
    "diw": Diw,
    "folder": DepthFolder,
    "nyuv2": Nyuv2,
    "redweb": Redweb,
    "mannequin": Mannequin,
}


def write_records(
    dataset: str,
    source: Path,
    output: Path,
    *,
    skip_invalid: bool = False,
    drawing: PairDrawing | None = None,
    beam_runner: str = "",
    beam_options: str = "",
) -> None:
    """Writes the records of a data set, and the pairs that were drawn for it as `pairs_<split>.csv`.

    Args:
        dataset: A key of `BUILDERS`.
        source: The folder.
        output: Where the records go; made if needed.
        skip_invalid: Whether bad entries are reported in `output/invalid.txt`, or the first one is raised.
        drawing: How pairs are drawn from depth maps; None for none.
        beam_runner: The runner of Apache Beam, such as "DirectRunner"; "" for none, in this process.
        beam_options: The flags of its pipeline.

    Raises:
        UserError: A bad entry, or no good one; pairs that the data set has already, or Beam is not installed.
        OSError: The disk is full.
    """
    if not source.is_dir() or not any(source.iterdir()):
        raise UserError(f"--source {source}: no such folder, or an empty one; give the one with the CSVs and images")
    builder_class = BUILDERS[dataset]
    options = {}
    if drawing and not issubclass(builder_class, DepthBuilder):
        raise UserError(f"--pairs_per_image: {dataset} has pairs of its own; leave it out, or prepare `folder`")
    if drawing:
        options["drawing"] = drawing
    builder = builder_class(
        data_dir=output, file_format="array_record", skip_invalid=skip_invalid, beam=bool(beam_runner), **options
    )
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(download_config=_download_config(source, beam_runner, beam_options))
    except (RuntimeError, ValueError) as error:  # array_record's and Beam's for what they meet
        if os.strerror(errno.ENOSPC) in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output)) from None
        if beam_runner and "number of generated examples is 0" in str(error):
            raise UserError(
                f"{source}: a split has not one good entry; run without Beam to see the first mistake"
            ) from None
        raise
    shutil.rmtree(output / "downloads", ignore_errors=True)
    for split, info in builder.info.splits.items():
        print(f"{split}: {info.num_examples} images")
        if drawing:
            write_pairs(output / f"pairs_{split}.csv", _drawn_pairs(builder, split, source, output))
    if builder.problems:
        report = output / "invalid.txt"
        report.write_text("".join(f"{problem}\n" for problem in builder.problems), encoding="utf-8")
        print(f"left out: {len(builder.problems)} entries, listed in {report}")


def _download_config(source: Path, beam_runner: str, beam_options: str) -> tfds.download.DownloadConfig:
    if not beam_runner:
        return tfds.download.DownloadConfig(manual_dir=source)
    from mdepth_jax.data.builders.beam import beam  # an optional package

    try:
        runner = beam.runners.create_runner(beam_runner)
    except (ImportError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--beam_runner {beam_runner}: Apache Beam has no such runner here ({reason})") from None
    options = beam.options.pipeline_options.PipelineOptions(shlex.split(beam_options))
    return tfds.download.DownloadConfig(manual_dir=source, beam_runner=runner, beam_options=options)


def _drawn_pairs(builder: RecordsBuilder, split: str, source: Path, output: Path) -> Iterator[ImagePairs]:
    """The pairs in the records; an image that is no file of `source` is written beside the CSV."""
    for raw in builder.as_data_source(split):
        name = raw["name"].decode()
        if not (source / name).is_file():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_bytes(raw["image"])
        height, width = read_map(raw["depth"], name).shape
        yield ImagePairs(name, raw["points"], raw["relation"], (height, width), 0)
