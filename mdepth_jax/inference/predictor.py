"""Runs batches of images through a program of fixed shape, with threads that prepare the images."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, UInt8

from mdepth_jax.data.images import resize_image
from mdepth_jax.models import DepthNet


@dataclass(frozen=True, eq=False)
class Predictor:
    """Program that predicts batches of one shape.

    Attributes:
        run: Function from RGB images `[batch_size, height, width, 3]`, uint8, to the network's predictions
            `[batch_size, height, width]`, float32; larger = farther.
        height: Height of its images in pixels.
        width: Width of its images in pixels.
        batch_size: Number of images in a batch.
    """

    run: Callable[[np.ndarray], np.ndarray]
    height: int
    width: int
    batch_size: int


@dataclass(frozen=True, eq=False)
class Picture:
    """An image on its way through a network.

    Attributes:
        name: Path of its output files relative to the output folder and without suffix.
        size: Height and width of the original in pixels.
        input: Image at the size of the network's input, RGB.
        image: Original, RGB; None where it is no longer needed.
    """

    name: str
    size: tuple[int, int]
    input: UInt8[np.ndarray, "height width 3"]
    image: UInt8[np.ndarray, "old_height old_width 3"] | None = None


@dataclass(frozen=True, eq=False)
class PicturePrediction:
    """A picture with its prediction.

    Attributes:
        picture: The picture.
        values: Prediction of the network at the size of its input.
    """

    picture: Picture
    values: Float32[np.ndarray, "height width"]


def compile_predictor(model: DepthNet, height: int, width: int, batch_size: int | None = None) -> Predictor:
    """Compiles a network for images of one size.

    Args:
        model: Network in evaluation mode.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        batch_size: Number of images in a batch; None: 8 on an accelerator, 1 on a CPU, which is faster as long as the
            activations of one image fit its caches.
    """
    batch_size = batch_size or (1 if jax.default_backend() == "cpu" else 8)
    graph, variables = nnx.split(model)
    run = jax.jit(lambda variables, images: nnx.merge(graph, variables)(images).depth[..., 0])
    program = run.lower(variables, jax.ShapeDtypeStruct((batch_size, height, width, 3), jnp.uint8)).compile()
    return Predictor(lambda images: np.asarray(program(variables, images)), height, width, batch_size)


def prepare_picture(
    name: str, image: UInt8[np.ndarray, "height width 3"], predictor: Predictor, *, keep: bool = False
) -> Picture:
    """Resizes an image to the input of a network.

    Args:
        name: Name of the picture, see `Picture`.
        image: RGB image, 0 to 255.
        predictor: The network.
        keep: Whether to keep the original.
    """
    small = resize_image(image, predictor.height, predictor.width)
    return Picture(name, image.shape[:2], small, image if keep else None)


def predict_pictures(predictor: Predictor, pictures: Iterable[Picture]) -> Iterator[PicturePrediction]:
    """Yields pictures with their predictions, in order; the last batch is filled up with black."""
    remaining = iter(pictures)
    while batch := list(itertools.islice(remaining, predictor.batch_size)):
        images = np.zeros((predictor.batch_size, predictor.height, predictor.width, 3), np.uint8)
        images[: len(batch)] = [picture.input for picture in batch]
        yield from map(PicturePrediction, batch, predictor.run(images))


def recover_depth(prediction: Float32[np.ndarray, "..."], log: float) -> Float32[np.ndarray, "..."]:
    """Computes depth from a network's prediction.

    Args:
        prediction: Depth, or `log` times its natural logarithm.
        log: The factor; 0 where the prediction is depth itself.
    """
    return np.exp(prediction / np.float32(log)) if log else prediction
