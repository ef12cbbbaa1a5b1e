"""The discriminator of holistic distillation, which scores whether a depth map belongs to an image (Sec. 4.3.1).

References:
    Zhang et al., "Self-Attention Generative Adversarial Networks", ICML 2019; Liu et al., "Structured Knowledge
    Distillation for Dense Prediction", TPAMI 2020. Code: irfanICMLL/structure_knowledge_distillation,
    `networks/sagan_models.py` and `networks/spectral.py`.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, UInt8

from mdepth_jax.models.layers import Conv, he_normal

_MIN_SIZE = 16
_FLAT = 1e-6  # Constant added to the variance of depth.


class SpectralVector(nnx.Variable):
    """Running estimate of a singular vector: state of the training, but no parameter."""


class SpectralConv(nnx.Module):
    """Convolution 4x4 with stride 2 whose kernel is divided by its largest singular value (Miyato et al. 2018).

    The kernel is treated as a matrix, filters by fan-in. In training mode every call updates the estimate of the
    singular vector by one power iteration; in evaluation mode, unlike in the original, it stays. The gradient takes the
    singular vectors as constants.

    Args:
        in_channels: Input width.
        out_channels: Output width.
        rngs: Seed of the initialization.
    """

    def __init__(self, in_channels: int, out_channels: int, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(he_normal(rngs, (4, 4, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels))
        self.u = SpectralVector(_unit(he_normal(rngs, (out_channels,))))
        self.use_running_average = False  # `train()` and `eval()` set it.

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer, with one pixel of zeros around the input."""
        matrix = self.kernel[...].reshape(-1, self.bias.shape[0])
        constant, u = lax.stop_gradient((matrix, self.u[...]))
        v = _unit(_product(constant, u))
        if not self.use_running_average:
            u = _unit(_product(v, constant))
            self.u.set_value(u)
        kernel = self.kernel[...] / _product(_product(v, matrix), u)
        y = lax.conv_general_dilated(x, kernel, (2, 2), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + self.bias[...][None, None, None]


class SelfAttention(nnx.Module):
    """Self-attention over all pixels, added to the input; at first the identity (Zhang et al. 2019).

    Args:
        channels: Number of channels; a multiple of 8.
        rngs: Seed of the initialization.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.query = Conv(channels, channels // 8, bias=0.0, rngs=rngs)
        self.key = Conv(channels, channels // 8, bias=0.0, rngs=rngs)
        self.value = Conv(channels, channels, bias=0.0, rngs=rngs)
        self.gamma = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Applies the layer."""
        query, key, value = (_pixels(layer(x)) for layer in (self.query, self.key, self.value))
        attention = jax.nn.softmax(jnp.einsum("bqc,bkc->bqk", query, key), axis=-1)
        return x + self.gamma[...] * jnp.einsum("bqk,bkc->bqc", attention, value).reshape(x.shape)


class Discriminator(nnx.Module):
    """Network that scores pairs of an image and a depth map, high where the depth looks like the teacher's.

    Four `SpectralConv`, each followed by a leaky ReLU, with `SelfAttention` after the third and the fourth, and a 3x3
    convolution to the scores. The original starts with 64 channels, normalizes its input by the batch and ends in a
    4x4 convolution without padding, so that its score map is smaller.

    For a training step split it with `nnx.split(discriminator, nnx.Param, SpectralVector)`.

    Args:
        width: Channels of the first layer; each further layer doubles them. A multiple of 2.
        rngs: Seed of the initialization.
    """

    def __init__(self, width: int = 32, *, rngs: nnx.Rngs):
        widths = [4, *(width * 2**index for index in range(4))]
        self.layers = nnx.List(
            SpectralConv(inputs, outputs, rngs=rngs) for inputs, outputs in itertools.pairwise(widths)
        )
        self.attention = nnx.List([None, None, *(SelfAttention(channels, rngs=rngs) for channels in widths[3:])])
        self.score = Conv(widths[-1], 1, 3, bias=0.0, rngs=rngs)

    def __call__(
        self,
        image: UInt8[Array, "batch height width 3"] | Float[Array, "batch height width 3"],
        depth: Float[Array, "batch height width 1"],
    ) -> Float[Array, "batch score_height score_width 1"]:
        """Scores every patch of every pair.

        Args:
            image: RGB, 0 to 255.
            depth: Depth, finite, in any unit: it is standardized to mean 0 and deviation 1 image by image, so that
                neither its unit nor its mean distinguishes student from teacher. A deviation below about 1e-3 counts
                as flat and stays small, so that the gradient stays finite.

        Returns:
            Unbounded scores at a 16th of the size.

        Raises:
            ValueError: If a side is shorter than 16 pixels.
        """
        if min(image.shape[1:3]) < _MIN_SIZE:
            raise ValueError(f"both sides must have at least {_MIN_SIZE} pixels, got {image.shape[1:3]}")
        color = (image.astype(jnp.float32) - 127.5) / 127.5
        x = jnp.concatenate([color, _standardize(depth.astype(jnp.float32))], axis=-1)
        for layer, attention in zip(self.layers, self.attention, strict=True):
            x = jax.nn.leaky_relu(layer(x), 0.1)
            x = x if attention is None else attention(x)
        return self.score(x)


def _standardize(depth: Float[Array, "batch height width 1"]) -> Float[Array, "batch height width 1"]:
    centered = depth - jnp.mean(depth, (1, 2, 3), keepdims=True)
    variance = jnp.mean(jnp.square(centered), (1, 2, 3), keepdims=True)
    return centered * lax.rsqrt(variance + _FLAT)


def _pixels(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch pixels channels"]:
    return x.reshape(x.shape[0], -1, x.shape[-1])


def _unit(vector: Float[Array, " length"]) -> Float[Array, " length"]:
    return vector / (jnp.linalg.norm(vector) + 1e-12)


def _product(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
