"""Validates a data set and writes it as records that `mdepth_jax.train` reads with random access.

    python -m mdepth_jax.prepare pairs --source DIR --output DIR        any folder with pairs_<split>.csv
    python -m mdepth_jax.prepare folder --source DIR --output DIR       any folder with images/, depth/ and <split>.txt
    python -m mdepth_jax.prepare diw --source DIR --output DIR          Depth in the Wild, unpacked
    python -m mdepth_jax.prepare nyuv2 --source DIR --output DIR        NYUv2, the labeled set: .mat file or frames
    python -m mdepth_jax.prepare redweb --source DIR --output DIR       ReDWeb, unpacked
    python -m mdepth_jax.prepare mannequin --source DIR --output DIR    the Mannequin Challenge, as HDF5 files
    python -m mdepth_jax.prepare scenes --output DIR --count 100        the embedded scenes as a folder of pairs
    python -m mdepth_jax.prepare teacher --source DIR --onnx FILE       a published network's maps for DIR/images

Every line and every image is checked. With --skip_invalid the valid ones are written and OUTPUT/invalid.txt
lists the others. With --pairs_per_image, ordinal pairs as in Depth in the Wild are drawn from the depth maps; they go
into the records and into OUTPUT/pairs_<split>.csv, for `mdepth_jax.evaluate --images DIR`. All flags of a set:
`python -m mdepth_jax.prepare folder --help`.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdepth_jax import cli, licenses
from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.scenes import write_scenes
from mdepth_jax.data.builders.teacher_job import TeacherJob
from mdepth_jax.data.builders.teacher_maps import write_teacher_maps
from mdepth_jax.data.builders.teacher_presets import PRESETS
from mdepth_jax.errors import UserError

_DATASETS = ("pairs", "folder", "diw", "nyuv2", "redweb", "mannequin")


@dataclass(frozen=True)
class RecordsFlags:
    """Flags of `prepare DATASET` for a raw data set."""

    dataset: str
    source: Path
    output: Path
    skip_invalid: bool
    beam_runner: str
    beam_options: str
    pairs_per_image: int
    min_ratio: float
    seed: int

    def __post_init__(self):
        if self.pairs_per_image < 0 or self.min_ratio < 1 or self.seed < 0:
            raise UserError("`pairs_per_image` and `seed` must not be negative, `min_ratio` must be at least 1")
        if not self.pairs_per_image and (self.min_ratio, self.seed) != (PairDrawing.min_ratio, PairDrawing.seed):
            raise UserError("`min_ratio` and `seed` need `pairs_per_image`")
        if self.beam_options and not self.beam_runner:
            raise UserError("`beam_options` needs `beam_runner`")

    @property
    def drawing(self) -> PairDrawing | None:
        """Returns the rule by which pairs are drawn from depth maps."""
        return PairDrawing(self.pairs_per_image, self.min_ratio, self.seed) if self.pairs_per_image else None


@dataclass(frozen=True)
class ScenesFlags:
    """Flags of `prepare scenes`."""

    dataset: str
    output: Path
    count: int

    def __post_init__(self):
        if self.count < 1:
            raise UserError(f"`count` is {self.count}; it must be positive")


@dataclass(frozen=True, kw_only=True)
class TeacherFlags(TeacherJob):
    """Flags of `prepare teacher`."""

    dataset: str


def main(argv: Sequence[str] | None = None) -> int:
    """Prepares a data set; a failed run leaves no files but a teacher's maps. Returns the exit status."""
    flags = parse(argv)
    if isinstance(flags, TeacherFlags):
        report = write_teacher_maps(flags)
        print(report.summary)
        print(*map(cli.spell_flags, report.failures), sep="\n", end="\n" if report.failures else "", file=sys.stderr)
        return 1 if report.failures else 0
    output = flags.output
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"`output` {output}: exists and is not empty; choose another place or remove it first")
    output.mkdir(parents=True, exist_ok=True)
    try:
        if isinstance(flags, ScenesFlags):
            write_scenes(output, flags.count)
        else:
            _write_records(flags)
    except BaseException:
        shutil.rmtree(output)
        raise
    if terms := licenses.DATA.get(flags.dataset):
        print(f"terms of {terms.name}: {terms.terms} ({terms.reference})")
    return 0


def parse(argv: Sequence[str] | None) -> RecordsFlags | ScenesFlags | TeacherFlags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.prepare", __doc__)
    commands = parser.add_subparsers(required=True, dest="dataset", metavar="|".join((*_DATASETS, "scenes", "teacher")))
    for name in _DATASETS:
        records = commands.add_parser(name, allow_abbrev=False)
        records.add_argument("--source", type=Path, required=True, help="folder of the raw data set")
        records.add_argument("--skip_invalid", action="store_true", help="leave out invalid entries and list them")
        records.add_argument("--beam_runner", default="", help="read on Apache Beam: DirectRunner, DataflowRunner, ...")
        records.add_argument("--beam_options", default="", help="flags of the Beam pipeline, in one string")
        records.add_argument("--pairs_per_image", type=int, default=0,
                             help="pairs drawn from each depth map (default: 0)")  # fmt: skip
        records.add_argument("--min_ratio", type=float, default=PairDrawing.min_ratio,
                             help="the depths of a pair differ by more (default: %(default)s)")  # fmt: skip
        records.add_argument("--seed", type=int, default=PairDrawing.seed, help="seed of the pairs (default: 0)")
        records.set_defaults(flags=RecordsFlags)
    scenes = commands.add_parser("scenes", allow_abbrev=False)
    scenes.add_argument("--count", type=int, default=100, help="scenes of each split (default: 100)")
    scenes.set_defaults(flags=ScenesFlags)
    for command in commands.choices.values():
        command.add_argument("--output", type=Path, required=True, help="new or empty folder for what is written")
    _add_teacher(commands.add_parser("teacher", allow_abbrev=False))
    return cli.parse(parser, argv)


def _add_teacher(teacher: argparse.ArgumentParser) -> None:
    teacher.add_argument("--onnx", type=Path, nargs="+", required=True, metavar="FILE", help="networks, averaged")
    teacher.add_argument("--source", type=Path, required=True, help="folder with images/; pairs there check the sign")
    teacher.add_argument("--output", type=Path, help="folder of the maps (default: SOURCE/teacher); a stop resumes")
    teacher.add_argument("--preset", nargs="+", default=[], metavar="NAME", help=", ".join(PRESETS))
    teacher.add_argument("--inverse", action="store_true", help="larger output = nearer")
    teacher.add_argument("--meters", action="store_true", help="the output is depth in meters")
    teacher.add_argument("--size", type=int, help="short side of the input, where the file takes any size")
    teacher.add_argument("--value_range", type=float, help="brightest pixel of the input: 1 (default) or 255")
    for name in ("--mean", "--deviation"):
        teacher.add_argument(name, type=float, nargs=3, metavar=("R", "G", "B"), help="of the input, after the range")
    teacher.add_argument("--channels", choices=("rgb", "bgr"), help="order of the channels (default: rgb)")
    teacher.add_argument("--output_name", metavar="NAME", help="output that is the map, where there are several")
    teacher.add_argument("--mirror", action="store_true", help="average with the prediction of the mirrored image")
    teacher.add_argument("--scales", type=float, nargs="+", default=[1.0], help="factors of the size, averaged")
    teacher.add_argument("--space", choices=("log", "inverse"), help="maps of log depth or of inverse depth")
    teacher.add_argument("--weights", type=float, nargs="+", default=[], help="of the files (default: equal)")
    teacher.add_argument("--disagreement", type=float, help="unknown where files differ by more mean deviations")
    teacher.add_argument("--map_scale", type=float, help="meters of one step of a code (default: 0.001)")
    teacher.set_defaults(flags=TeacherFlags)


def _write_records(flags: RecordsFlags) -> None:
    from mdepth_jax.data.builders.write import write_records  # TFDS takes seconds to import

    write_records(
        flags.dataset,
        flags.source,
        flags.output,
        skip_invalid=flags.skip_invalid,
        drawing=flags.drawing,
        beam_runner=flags.beam_runner,
        beam_options=flags.beam_options,
    )


if __name__ == "__main__":
    cli.run(main)
