"""From pictures to predictions: any trained network as one program of fixed shape, fed and emptied by threads."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, UInt8

from mdepth_jax.data.images import resize_image
from mdepth_jax.errors import UserError
from mdepth_jax.models.weights import load_weights
from mdepth_jax.training.provenance import describe_depth
from mdepth_jax.training.run_directory import complete_config, config_of_weights

Item = TypeVar("Item")
Result = TypeVar("Result")
_THREADS = min(os.cpu_count() or 1, 4)  # more of them hold too many large photographs at a time


class Predictor(NamedTuple):
    """A network ready to run.

    Attributes:
        predict: From `batch_size` RGB images, 0 to 255, `[B, H, W, 3]`, to what the network predicts, `[B, H, W]`;
            larger = farther.
        height: Of its input.
        width: Of its input.
        batch_size: Of its input.
        meaning: Of depth: its sign and its unit.
        log: A prediction is this factor times the logarithm of depth; 0: depth itself.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    height: int
    width: int
    batch_size: int
    meaning: str
    log: float = 0.0


class Picture(NamedTuple):
    """An image on its way through a network.

    Attributes:
        name: Path of what is written about it, below the output folder and without suffix.
        size: (height, width) of the original.
        input: At the size of the network's input.
        image: The original, where it is still needed.
    """

    name: str
    size: tuple[int, int]
    input: UInt8[np.ndarray, "height width 3"]
    image: UInt8[np.ndarray, "old_height old_width 3"] | None


def load_predictor(
    path: Path, *, height: int | None = None, width: int | None = None, batch_size: int | None = None
) -> Predictor:
    """Loads a network and compiles it, once and for all images.

    Args:
        path: As in `models.weights.find_weights`, or a `.tflite` file of ours, which takes one image after another.
        height: Of its input; None for that of the training.
        width: Of its input; None for that of the training.
        batch_size: Of its input; None: 8 on an accelerator, 1 on a CPU, which is faster as long as an image fits its
            caches.

    Raises:
        UserError: As `load_weights` and `DepthInterpreter`, or the size is not that of the `.tflite` file.
    """
    if path.suffix == ".tflite":
        from mdepth_jax.tflite.interpreter import DepthInterpreter  # TFLite takes seconds to import

        network = DepthInterpreter(path, os.cpu_count() or 1)
        size = network.height, network.width
        if (height or size[0], width or size[1]) != size:
            raise UserError(
                f"{path}: takes {size[1]}x{size[0]} alone; convert the network again with --height, --width"
            )
        config = complete_config(network.metadata.get("config", {}), str(path))
        return Predictor(lambda images: network(images)[..., 0], *size, 1, describe_depth(config), config.data.log)
    weights = load_weights(path)
    config = config_of_weights(weights)
    height, width = height or config.data.height, width or config.data.width
    batch_size = batch_size or (1 if jax.default_backend() == "cpu" else 8)
    graph, variables = nnx.split(weights.model)
    run = jax.jit(lambda variables, images: nnx.merge(graph, variables)(images).depth[..., 0])
    program = run.lower(variables, jax.ShapeDtypeStruct((batch_size, height, width, 3), jnp.uint8)).compile()
    return Predictor(
        lambda images: np.asarray(program(variables, images)),
        height,
        width,
        batch_size,
        describe_depth(config),
        config.data.log,
    )


def make_picture(name: str, image: UInt8[np.ndarray, "height width 3"], predictor: Predictor, *, keep: bool) -> Picture:
    """Makes an image ready for a network.

    Args:
        name: See `Picture`.
        image: RGB, 0 to 255.
        predictor: The network.
        keep: Whether the original is still needed.
    """
    small = resize_image(image, predictor.height, predictor.width)
    return Picture(name, image.shape[:2], small, image if keep else None)


def predict_in_batches(
    predictor: Predictor, pictures: Iterable[Picture]
) -> Iterator[tuple[Picture, Float32[np.ndarray, "height width"]]]:
    """Gives each picture with its prediction, at the size of the network; the last batch is filled up with black."""
    remaining = iter(pictures)
    while batch := list(itertools.islice(remaining, predictor.batch_size)):
        images = np.zeros((predictor.batch_size, predictor.height, predictor.width, 3), np.uint8)
        images[: len(batch)] = [picture.input for picture in batch]
        yield from zip(batch, predictor.predict(images)[: len(batch)], strict=True)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map` in threads that work ahead a little; the results come in order."""
    pending: collections.deque[Future[Result]] = collections.deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > _THREADS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@dataclasses.dataclass
class RunningLimits:
    """The range of colours of a video, which follows its frames slowly so that nothing flickers.

    Attributes:
        memory: Share of the old limits in the new ones; 0.95 forgets within about 20 frames.
        limits: Now; None before the first frame, which sets them.
    """

    memory: float = 0.95
    limits: tuple[float, float] | None = None

    def update(self, limits: tuple[float, float]) -> tuple[float, float]:
        """Takes in the limits of the next frame; gives those to paint it with."""
        if self.limits is not None:
            low, high = (
                self.memory * old + (1 - self.memory) * new for old, new in zip(self.limits, limits, strict=True)
            )
            limits = low, high
        self.limits = limits
        return limits
