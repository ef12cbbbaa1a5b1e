"""Opens a trained network of any kind: a run directory, a `.safetensors` or `.tflite` file, or a name."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from ml_collections import ConfigDict
from PIL import Image

from mdepth_jax import licenses
from mdepth_jax.data.images import convert_to_rgb, read_image, resize_map
from mdepth_jax.errors import UserError
from mdepth_jax.inference.predictor import (
    Predictor,
    compile_predictor,
    predict_pictures,
    prepare_picture,
    recover_depth,
)
from mdepth_jax.licenses import License
from mdepth_jax.models import DepthNet, Header, load_weights
from mdepth_jax.models.score import read_scores
from mdepth_jax.training import provenance
from mdepth_jax.training.run_directory import complete_config, config_of_weights

ImageLike = str | os.PathLike | Image.Image | np.ndarray


@dataclass(frozen=True)
class NetworkInfo:
    """Description of a network for its user.

    Attributes:
        path: File that the network was read from.
        architecture: Names of its encoder and decoder; empty if unknown.
        meaning: Meaning of the depth that `Network.predict` returns, in words.
        has_unit: Whether depth has the unit of the depth maps of the training, such as meters; without one only the
            order of depths means something.
        height: Height of the network's input in pixels.
        width: Width of the network's input in pixels.
        log: Factor in front of the natural logarithm of depth that the network itself predicts; 0 if it predicts depth.
        scores: Scores on the test set of its training by metric: `whdr`, `rmse`, `delta1`, `si_rmse`.
        pairs: Number of ordinal pairs behind the scores.
        depth_maps: Number of depth maps behind the scores.
        licenses: Terms of the code and of everything that the network was trained with.
    """

    path: Path
    architecture: str
    meaning: str
    has_unit: bool
    height: int
    width: int
    log: float
    scores: Mapping[str, float]
    pairs: int
    depth_maps: int
    licenses: tuple[License, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A trained depth network; `open_network` makes it.

    Attributes:
        path: File that the network was read from.
        model: Flax network in evaluation mode, or the interpreter of a `.tflite` file: a function from images
            `[B, H, W, 3]` to predictions `[B, H, W, 1]`.
        config: Configuration of the run that made the network, with the size of the network's input.
        header: Header of its weights.
        architecture: Names of its encoder and decoder; empty if unknown.
        batch_size: Number of images in a batch; None for the default of `compile_predictor`.
        terms: Terms of use as a `.tflite` file states them; None: those of the runs that the header names.
    """

    path: Path
    model: DepthNet | Callable[[np.ndarray], np.ndarray] = field(repr=False)
    config: ConfigDict = field(repr=False)
    header: Header = field(repr=False)
    architecture: str
    batch_size: int | None = None
    terms: str | None = field(default=None, repr=False)

    @functools.cached_property
    def info(self) -> NetworkInfo:
        """Description of the network.

        Raises:
            UserError: If another version of the package wrote the header of the weights.
        """
        return NetworkInfo(
            path=self.path,
            architecture=self.architecture,
            meaning=provenance.describe_depth(self.config),
            has_unit=provenance.has_unit(self.config),
            height=self.config.data.height,
            width=self.config.data.width,
            log=self.config.data.log,
            scores=self.header.values,
            pairs=self.header.pairs,
            depth_maps=self.header.depth_maps,
            licenses=self._find_licenses(),
        )

    @functools.cached_property
    def predictor(self) -> Predictor:
        """Program that predicts batches of images at the size of the network; compiled at the first use."""
        model, data = self.model, self.config.data
        if isinstance(model, DepthNet):
            return compile_predictor(model, data.height, data.width, self.batch_size)
        return Predictor(lambda images: model(images)[..., 0], data.height, data.width, batch_size=1)

    def predict(self, image: ImageLike) -> Float32[np.ndarray, "height width"]:
        """Predicts the depth of an image.

        Args:
            image: Path of an image file, Pillow image, or RGB array `[height, width, 3]`, uint8.

        Returns:
            Depth at the size of the image; a larger value is farther away. `info.meaning` says what else it means.

        Raises:
            UserError: If the file cannot be read, or the array has another shape or type.
        """
        picture = prepare_picture("", to_pixels(image), self.predictor)
        [prediction] = predict_pictures(self.predictor, [picture])
        return recover_depth(resize_map(prediction.values, *picture.size), self.config.data.log)

    def _find_licenses(self) -> tuple[License, ...]:
        if self.terms is not None:
            return (License(self.path.name, self.terms),)
        return tuple(provenance.list_licenses(self.header))


def open_network(
    path: str | os.PathLike, *, height: int | None = None, width: int | None = None, batch_size: int | None = None
) -> Network:
    """Opens a trained network; it is compiled when it is first used.

    Args:
        path: Run directory, whose best weights are meant, `.safetensors` file, `.tflite` file, or the name of a network
            that comes with the package: `"embedded"`.
        height: Height of the network's input in pixels; None for that of the training.
        width: Width of the network's input in pixels; None for that of the training.
        batch_size: Number of images that are predicted at a time; None: 8 on an accelerator, 1 on a CPU. A `.tflite`
            file takes one image after another in any case.

    Raises:
        UserError: If there is no such network, it is damaged, it lacks the configuration of its run, or a number is not
            positive or not the size of the `.tflite` file.
    """
    for name, value in {"height": height, "width": width, "batch_size": batch_size}.items():
        if value is not None and value <= 0:
            raise UserError(f"`{name}` is {value}; it must be positive")
    path = Path(path)
    network = _open_tflite(path) if path.suffix == ".tflite" else _open_weights(path, batch_size)
    data = network.config.data
    size = height or data.height, width or data.width
    if not isinstance(network.model, DepthNet) and size != (data.height, data.width):
        raise UserError(
            f"{path}: takes images of {data.width}x{data.height} only; convert the network again with `height` and "
            "`width`"
        )
    data.height, data.width = size
    return network


def to_pixels(image: Any) -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image in any of the forms that `Network.predict` takes.

    Returns:
        RGB image, 0 to 255, upright.

    Raises:
        UserError: If the file cannot be read, or the array has another shape or type.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return convert_to_rgb(image, "`image`")
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise UserError(f"`image` has type {array.dtype}; give RGB as uint8, 0 to 255")
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise UserError(f"`image` has shape {list(array.shape)}; give RGB as [height, width, 3]")
    return array


def _open_weights(path: Path, batch_size: int | None) -> Network:
    weights = load_weights(path)
    return Network(
        path=weights.path,
        model=weights.model,
        config=config_of_weights(weights),
        header=weights.header,
        architecture=f"{weights.config.encoder} + {weights.config.decoder}",
        batch_size=batch_size,
    )


def _open_tflite(path: Path) -> Network:
    from mdepth_jax.tflite.interpreter import DepthInterpreter  # imports TensorFlow, which takes seconds

    interpreter = DepthInterpreter(path, threads=os.cpu_count() or 1)
    metadata = interpreter.metadata
    config = complete_config(metadata.get("config", {}), str(path))
    config.data.height, config.data.width = interpreter.height, interpreter.width
    return Network(
        path=path,
        model=interpreter,
        config=config,
        header=Header(
            output=metadata.get("output", ""), scores=read_scores(metadata), step=metadata.get("scores", {}).get("step")
        ),
        architecture=metadata.get("name", ""),
        terms=metadata.get("license", licenses.UNKNOWN),
    )
