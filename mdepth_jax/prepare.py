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
into the records and into OUTPUT/pairs_<split>.csv, for `mdepth_jax.evaluate --images DIR`.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mdepth_jax import cli, licences
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError

_DATASETS = ("pairs", "folder", "diw", "nyuv2", "redweb", "mannequin", "scenes")
_SCENE_SIZE = (240, 320)


def write_scenes(output: Path, count: int) -> None:
    """Writes embedded scenes as a folder of pairs: an example of the format.

    Args:
        output: The folder; made if needed.
        count: Scenes of each split, one pair each; depth maps in millimetres, at most 65535.
    """
    from mdepth_jax.data.scenes import Scenes

    for folder in ("images", "depth"):
        (output / folder).mkdir(parents=True)
    for split in ("train", "test"):
        entries = []
        scenes = Scenes(count, *_SCENE_SIZE, split=split)
        for index in range(count):
            example = scenes[index]
            name = f"{split}_{index:05d}.png"
            Image.fromarray(example["image"]).save(output / "images" / name)
            millimetres = np.clip(np.round(example["depth"] * 1000), 0, 65535).astype(np.uint16)
            Image.fromarray(millimetres).save(output / "depth" / name)
            entries.append(ImagePairs(f"images/{name}", example["points"], example["relation"], _SCENE_SIZE, 0))
        write_pairs(output / f"pairs_{split}.csv", entries)
        print(f"{split}: {count} images in {output}")


def main(argv: Sequence[str]) -> None:
    """Parses the arguments and writes; a failed run leaves nothing behind."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", choices=_DATASETS)
    parser.add_argument("--source", type=Path, help="folder of the raw data set; not for scenes")
    parser.add_argument("--output", type=Path, required=True, help="new or empty folder for what is written")
    parser.add_argument("--skip_invalid", action="store_true", help="leave out what is bad and list it")
    parser.add_argument("--count", type=int, default=100, help="scenes of each split (default: 100)")
    parser.add_argument("--pairs_per_image", type=int, default=0, help="pairs to draw from each depth map (default: 0)")
    parser.add_argument("--min_ratio", type=float, default=1.1, help="their depths differ by more (default: 1.1)")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs (default: 0)")
    parser.add_argument("--beam_runner", default="", help="read on Apache Beam: DirectRunner, DataflowRunner, ...")
    parser.add_argument("--beam_options", default="", help="flags of the Beam pipeline, in one string")
    flags = parser.parse_args(argv)
    if flags.pairs_per_image < 0 or flags.min_ratio < 1 or flags.seed < 0:
        parser.error("--pairs_per_image and --seed must not be negative, --min_ratio must be at least 1")
    if flags.beam_options and not flags.beam_runner:
        parser.error("--beam_options needs --beam_runner")
    output = flags.output
    if flags.dataset != "scenes" and flags.source is None:
        parser.error(f"{flags.dataset} needs --source DIR")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"--output {output}: exists and is not empty; choose another place or remove it first")
    output.mkdir(parents=True, exist_ok=True)
    try:
        if flags.dataset == "scenes":
            write_scenes(output, flags.count)
        else:
            _write_records(flags)
    except BaseException:
        shutil.rmtree(output)
        raise
    if terms := licences.DATA.get(flags.dataset):
        print(f"terms of {terms.name}: {terms.terms} ({terms.source})")


def _write_records(flags: argparse.Namespace) -> None:
    from mdepth_jax.data.frames import PairDrawing
    from mdepth_jax.data.preparation import write_records  # TFDS takes seconds to import

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
