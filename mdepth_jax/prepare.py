"""Validates a data set and writes it as records that `mdepth_jax.train` reads with random access.

    python -m mdepth_jax.prepare pairs --source DIR --output DIR        any folder with pairs_<split>.csv
    python -m mdepth_jax.prepare folder --source DIR --output DIR       any folder with images/, depth/ and <split>.txt
    python -m mdepth_jax.prepare diw --source DIR --output DIR          Depth in the Wild, unpacked
    python -m mdepth_jax.prepare nyuv2 --source DIR --output DIR        NYUv2, the labelled set: .mat file or frames
    python -m mdepth_jax.prepare redweb --source DIR --output DIR       ReDWeb, unpacked
    python -m mdepth_jax.prepare mannequin --source DIR --output DIR    the Mannequin Challenge, as HDF5 files
    python -m mdepth_jax.prepare scenes --output DIR --count 100        the embedded scenes as a folder of pairs

Every line and every image is checked. With --skip_invalid the good ones are written and OUTPUT/invalid.txt
lists the others. With --pairs_per_image, ordinal pairs as in Depth in the Wild are drawn from the depth maps; they go
into the records and into OUTPUT/pairs_<split>.csv, for `mdepth_jax.evaluate --images DIR`. All flags of a set:
`python -m mdepth_jax.prepare folder --help`.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from mdepth_jax import cli, licenses
from mdepth_jax.data.builders.scenes import write_scenes
from mdepth_jax.errors import UserError

_DATASETS = ("pairs", "folder", "diw", "nyuv2", "redweb", "mannequin")
_MIN_RATIO = 1.1


def main(argv: Sequence[str]) -> None:
    """Writes what the arguments ask for; a failed run leaves nothing behind."""
    flags = parse(argv)
    output = flags.output
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"--output {output}: exists and is not empty; choose another place or remove it first")
    output.mkdir(parents=True, exist_ok=True)
    try:
        flags.write(flags)
    except BaseException:
        shutil.rmtree(output)
        raise
    if terms := licenses.DATA.get(flags.dataset):
        print(f"terms of {terms.name}: {terms.terms} ({terms.reference})")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, dest="dataset", metavar="|".join((*_DATASETS, "scenes")))
    for name in _DATASETS:
        records = commands.add_parser(name)
        records.add_argument("--source", type=Path, required=True, help="folder of the raw data set")
        records.add_argument("--skip_invalid", action="store_true", help="leave out what is bad and list it")
        records.add_argument("--beam_runner", default="", help="read on Apache Beam: DirectRunner, DataflowRunner, ...")
        records.add_argument("--beam_options", default="", help="flags of the Beam pipeline, in one string")
        records.add_argument("--pairs_per_image", type=int, default=0, help="to draw from a depth map (default: 0)")
        records.add_argument("--min_ratio", type=float, default=_MIN_RATIO,
                             help="the depths of a pair differ by more (default: %(default)s)")  # fmt: skip
        records.add_argument("--seed", type=int, default=0, help="of the pairs (default: 0)")
        records.set_defaults(write=_write_records)
    scenes = commands.add_parser("scenes")
    scenes.add_argument("--count", type=int, default=100, help="scenes of each split (default: 100)")
    scenes.set_defaults(write=lambda flags: write_scenes(flags.output, flags.count))
    for command in commands.choices.values():
        command.add_argument("--output", type=Path, required=True, help="new or empty folder for what is written")
    flags = parser.parse_args(argv)
    if flags.dataset == "scenes":
        if flags.count < 1:
            parser.error("--count must be positive")
        return flags
    if flags.pairs_per_image < 0 or flags.min_ratio < 1 or flags.seed < 0:
        parser.error("--pairs_per_image and --seed must not be negative, --min_ratio must be at least 1")
    if not flags.pairs_per_image and (flags.min_ratio, flags.seed) != (_MIN_RATIO, 0):
        parser.error("--min_ratio and --seed go with --pairs_per_image")
    if flags.beam_options and not flags.beam_runner:
        parser.error("--beam_options needs --beam_runner")
    return flags


def _write_records(flags: argparse.Namespace) -> None:
    from mdepth_jax.data.builders.frames import PairDrawing
    from mdepth_jax.data.builders.write import write_records  # TFDS takes seconds to import

    drawing = PairDrawing(flags.pairs_per_image, flags.min_ratio, flags.seed) if flags.pairs_per_image else None
    write_records(
        flags.dataset,
        flags.source,
        flags.output,
        skip_invalid=flags.skip_invalid,
        drawing=drawing,
        beam_runner=flags.beam_runner,
        beam_options=flags.beam_options,
    )


if __name__ == "__main__":
    cli.run(main)
