"""Validates a data set and writes it as records that `mdepth_jax.train` reads with random access.

    python -m mdepth_jax.prepare pairs --source DIR --output DIR        any folder with pairs_<split>.csv
    python -m mdepth_jax.prepare folder --source DIR --output DIR       any folder with images/, depth/ and <split>.txt
    python -m mdepth_jax.prepare diw --source DIR --output DIR          Depth in the Wild, unpacked
    python -m mdepth_jax.prepare nyuv2 --source DIR --output DIR        NYUv2, the labeled set: .mat file or frames
    python -m mdepth_jax.prepare redweb --source DIR --output DIR       ReDWeb, unpacked
    python -m mdepth_jax.prepare mannequin --source DIR --output DIR    the Mannequin Challenge, as HDF5 files
    python -m mdepth_jax.prepare scenes --output DIR --count 100        the embedded scenes as a folder of pairs

Every line and every image is checked. With --skip_invalid the valid ones are written and OUTPUT/invalid.txt
lists the others. With --pairs_per_image, ordinal pairs as in Depth in the Wild are drawn from the depth maps; they go
into the records and into OUTPUT/pairs_<split>.csv, for `mdepth_jax.evaluate --images DIR`. All flags of a set:
`python -m mdepth_jax.prepare folder --help`.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mdepth_jax import cli, licenses
from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.scenes import write_scenes
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


def main(argv: Sequence[str] | None = None) -> int:
    """Prepares a data set; a failed run leaves no files."""
    flags = parse(argv)
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


def parse(argv: Sequence[str] | None) -> RecordsFlags | ScenesFlags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.prepare", __doc__)
    commands = parser.add_subparsers(required=True, dest="dataset", metavar="|".join((*_DATASETS, "scenes")))
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
    return cli.parse(parser, argv)


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
