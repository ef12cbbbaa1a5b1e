"""Images at a network's size, for calibrating int8 and for comparing a file with its network."""

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
RENDERED = "rendered scenes"


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images of one size with their origin.

    Attributes:
        images: RGB images, 0 to 255.
        origin: Origin of the images, in words.
    """

    images: Images
    origin: str

    def thin_out(self, count: int) -> "ImageSet":
        """Returns at most `count` of the images, at equal distances."""
        return ImageSet(self.images[:: -(-len(self.images) // count)], self.origin)


def open_images(config: ConfigDict, folder: pathlib.Path | None, count: int, *, allow_rendered: bool) -> ImageSet:
    """Reads the images of a folder if one is given, else of the run's training data, else rendered scenes.

    Args:
        config: Configuration of the run, with the size of the images.
        folder: Folder of images; None for the run's own.
        count: Largest number of images.
        allow_rendered: Whether rendered scenes will do; images of training are needed to calibrate int8.

    Raises:
        UserError: If the folder holds no images, or the run's data cannot be opened and rendered scenes will not do.
    """
    size = config.data.height, config.data.width
    if folder:
        return ImageSet(read_folder(folder, *size, count), str(folder))
    try:
        return ImageSet(read_training_images(config, *size, count), "training data of the run")
    except UserError as error:
        if allow_rendered:
            return ImageSet(render_images(*size, count), RENDERED)
        raise UserError(
            f"int8 is calibrated on images, and those of the run cannot be opened ({error}); give `calibration=FOLDER`"
        ) from None


def read_folder(folder: pathlib.Path, height: int, width: int, count: int) -> Images:
    """Reads at most `count` images of a folder and its subfolders, evenly spread.

    Raises:
        UserError: If there is no such folder or no image in it, or an image is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one with images like those of training")
    paths = list(find_images(folder).values())
    return [resize_image(read_image(paths[place]), height, width) for place in _spread(len(paths), count)]


def read_training_images(config: ConfigDict, height: int, width: int, count: int) -> Images:
    """Reads at most `count` of a run's training images, evenly spread, with the preprocessing of its evaluation.

    Raises:
        UserError: If the data of the run cannot be opened.
    """
    config = config.copy_and_resolve_references()
    config.data.height, config.data.width = height, width
    source = loading.open_sources(config, WantedMaps()).train
    spec = dataclasses.replace(loading.eval_spec(config, WantedMaps()), depth=False, crop=config.data.crop)
    return [rows.eval_row(source[place], spec, source.max_pairs)["image"] for place in _spread(len(source), count)]


def render_images(height: int, width: int, count: int) -> Images:
    """Renders scenes of the embedded data set, always the same."""
    scenes = Scenes(count, height, width, split="test")
    return [scenes[index]["image"] for index in range(count)]


def _spread(size: int, count: int) -> list[int]:
    return np.linspace(0, size - 1, min(size, count)).astype(int).tolist()
