"""Small networks whose batch normalization is not the identity, and their files."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.models import DepthNet, build_model, default_config
from mdepth_jax.models.depthwise import pad_widths
from mdepth_jax.tflite.conversion import convert

SIZE = 64, 96


def make_network(**options) -> DepthNet:
    """Builds an untrained network in evaluation mode; the options are those of `default_config`, width 0.25 by default.

    NumPy draws all values, which compiles nothing.
    """
    config = default_config()
    config.update({"width": 0.25, "heads": 0} | options)
    graph, shapes = nnx.split(nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0))))
    random = np.random.default_rng(0)

    def draw(path, leaf):
        match path[-2].key if hasattr(path[-1], "name") else path[-1].key:
            case "kernel":
                values = random.normal(0, np.sqrt(2 / np.prod(leaf.shape[:-1])), leaf.shape)
            case "scale" | "var":
                values = random.uniform(0.8, 1.25, leaf.shape)
            case "bias" | "mean":
                values = random.normal(0, 0.1, leaf.shape)
            case other:
                raise AssertionError(other)
        return jnp.asarray(values, leaf.dtype)

    model = nnx.merge(graph, jax.tree_util.tree_map_with_path(draw, shapes))
    model.eval()
    model.set_attributes(implementation="lax")  # the quickest to compile
    return model


# Built once per process, whichever file of tests asks first.
@functools.cache
def render_images():
    """Renders six images at `SIZE`."""
    scenes = Scenes(6, *SIZE, split="test")
    return [scenes[index]["image"] for index in range(len(scenes))]


@functools.cache
def build_network():
    """Builds a network that quantizes well without training."""
    return make_network(encoder="mobilenet_v1", decoder="nnconv5")


@functools.cache
def convert_network(quantize="none"):
    """Converts that network; int8 with all images."""
    return convert(build_network(), *SIZE, quantize, render_images())


def draw(*shapes):
    random = np.random.default_rng(0)
    return [random.normal(size=shape) for shape in shapes]


def pointwise(x, arrays):
    return x @ arrays.kernel[0, 0] + arrays.bias


def convolve(x, kernel, stride=1, padding="SAME"):
    """Convolves one image pixel by pixel; with a kernel `[size, size, 1, channels]` channel by channel."""
    size, _, inputs, _ = kernel.shape
    if padding == "SAME":
        x = np.pad(x, (*(pad_widths(side, size, stride, "SAME") for side in x.shape[:2]), (0, 0)))
    height, width = ((side - size) // stride + 1 for side in x.shape[:2])
    y = np.zeros((height, width, kernel.shape[3]))
    for row, column in np.ndindex(height, width):
        patch = x[row * stride : row * stride + size, column * stride : column * stride + size]
        y[row, column] = np.einsum("ijc,ijco->o" if inputs == x.shape[2] else "ijo,ijzo->o", patch, kernel)
    return y
