"""Images of a network's size, to calibrate quantisation with and to compare on."""

import dataclasses
import pathlib

import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from mdepth_jax.data import loading, rows
from mdepth_jax.data.images import read_image, resize_image
from mdepth_jax.data.listing import find_images
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.data.types import WantedMaps
from mdepth_jax.errors import UserError

Images = list[UInt8[np.ndarray, "height width 3"]]


def images_of_folder(folder: pathlib.Path, height: int, width: int, count: int) -> Images:
    """At most `count` of the images below a folder, evenly spread.

    Raises:
        UserError: There is no such folder, or no image in it; an image is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one with images like those of training")
    paths = list(find_images(folder).values())
    return [resize_image(read_image(paths[place]), height, width) for place in _spread(len(paths), count)]


def images_of_run(config: ConfigDict, height: int, width: int, count: int) -> Images:
    """At most `count` of the images that a run was trained on, evenly spread, read as for its evaluation.

    Raises:
        UserError: The data of the run cannot be opened.
    """
    config = config.copy_and_resolve_references()
    config.data.height, config.data.width = height, width
    source = loading.open_train_source(config, WantedMaps())
    spec = dataclasses.replace(loading.eval_spec(config, WantedMaps()), depth=False)
    return [rows.eval_row(source[place], spec, source.max_pairs)["image"] for place in _spread(len(source), count)]


def rendered_images(height: int, width: int, count: int) -> Images:
    """Scenes of the embedded data set."""
    scenes = Scenes(count, height, width, split="test")
    return [scenes[index]["image"] for index in range(count)]


def _spread(size: int, count: int) -> list[int]:
    return np.linspace(0, size - 1, min(size, count)).astype(int).tolist()
