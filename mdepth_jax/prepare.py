"""Validates a data set and writes it as records that `mdepth_jax.train` reads with random access.

    python -m mdepth_jax.prepare pairs --source DIR --output DIR    any folder with pairs_<split>.csv
    python -m mdepth_jax.prepare diw --source DIR --output DIR      Depth in the Wild, unpacked
    python -m mdepth_jax.prepare scenes --output DIR --count 100    the embedded scenes as such a folder

Every line and every image is checked. With --skip_invalid the good ones are written and OUTPUT/invalid.txt
lists the others.
"""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mdepth_jax import cli
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError

_SCENE_SIZE = (240, 320)


def write_records(dataset: str, source: Path, output: Path, *, skip_invalid: bool = False) -> None:
    """Writes the records of a folder.

    Args:
        dataset: "pairs" or "diw".
        source: The folder.
        output: Where the records go; made if needed.
        skip_invalid: Whether bad entries are reported in `output/invalid.txt`, or the first one is raised.

    Raises:
        UserError: A bad entry, or no good one.
        OSError: The disk is full.
    """
    import tensorflow_datasets as tfds  # takes seconds

    from mdepth_jax.data.diw import Diw
    from mdepth_jax.data.records import Pairs

    if not source.is_dir() or not any(source.iterdir()):
        raise UserError(f"--source {source}: no such folder, or an empty one; give the one with the CSVs and images")
    builder_class = {"pairs": Pairs, "diw": Diw}[dataset]
    builder = builder_class(data_dir=output, file_format="array_record", skip_invalid=skip_invalid)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=source))
    except RuntimeError as error:  # array_record's for what the system refuses
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output)) from None
    shutil.rmtree(output / "downloads", ignore_errors=True)
    for split, info in builder.info.splits.items():
        print(f"{split}: {info.num_examples} images")
    if builder.problems:
        report = output / "invalid.txt"
        report.write_text("".join(f"{problem}\n" for problem in builder.problems), encoding="utf-8")
        print(f"left out: {len(builder.problems)} entries, listed in {report}")


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
    parser.add_argument("dataset", choices=("pairs", "diw", "scenes"))
    parser.add_argument("--source", type=Path, help="folder of the raw data set; not for scenes")
    parser.add_argument("--output", type=Path, required=True, help="new or empty folder for what is written")
    parser.add_argument("--skip_invalid", action="store_true", help="leave out what is bad and list it")
    parser.add_argument("--count", type=int, default=100, help="scenes of each split (default: 100)")
    flags = parser.parse_args(argv)
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
            write_records(flags.dataset, flags.source, output, skip_invalid=flags.skip_invalid)
    except BaseException:
        shutil.rmtree(output)
        raise


if __name__ == "__main__":
    cli.run(main)
