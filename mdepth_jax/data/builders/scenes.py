"""Export of the embedded scenes as a folder of pairs, an example of the format."""

from pathlib import Path

import numpy as np
from PIL import Image

from mdepth_jax.data.about import write_about
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.sources.scenes import Scenes

_SCENE_SIZE = (240, 320)


def write_scenes(output: Path, count: int) -> None:
    """Writes embedded scenes as a folder of pairs, with depth maps in millimeters, at most 65535.

    Args:
        output: Folder of the data set, created if needed.
        count: Number of scenes of each split, with one pair each.
    """
    for folder in ("images", "depth"):
        (output / folder).mkdir(parents=True)
    write_about(output, Scenes.info)
    for split in ("train", "test"):
        entries = []
        scenes = Scenes(count, *_SCENE_SIZE, split=split)
        for index in range(count):
            example = scenes[index]
            name = f"{split}_{index:05d}.png"
            Image.fromarray(example["image"]).save(output / "images" / name)
            millimeters = np.clip(np.round(example["depth"] * 1000), 0, 65535).astype(np.uint16)
            Image.fromarray(millimeters).save(output / "depth" / name)
            entries.append(ImagePairs(f"images/{name}", example["points"], example["relation"], _SCENE_SIZE, 0))
        write_pairs(output / f"pairs_{split}.csv", entries)
        print(f"{split}: {count} images in {output}")
