"""Layers shared by encoders and decoders.

Every layer computes in the dtype of its input. Convolutions have an attribute `implementation`, see
`depthwise.depthwise_conv`: `model.set_attributes(implementation="lax")` turns all of them into XLA convolutions.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import (
    Implementation,
    Padding,
    default_implementation,
    depthwise_conv,
    pad_widths,
    upsampled_depthwise_conv,
)

Activation = Callable[[Array], Array]


def round_channels(channels: int | float, divisor: int = 8) -> int:
    """Rounds to the nearest multiple of `divisor`, never more than 10 % below `channels` (the MobileNet rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


@jax.jit
def upsample_bilinear(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Doubles the size by bilinear interpolation with half-pixel centers."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "bilinear")


@jax.jit
def upsample_bilinear_aligned(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Doubles the size by bilinear interpolation with aligned corners, as PyTorch's `align_corners=True`."""
    for axis in (1, 2):
        size = x.shape[axis]
        position = np.linspace(0, size - 1, 2 * size)
        low = np.minimum(position.astype(int), max(size - 2, 0))
        weight = jnp.asarray(np.expand_dims(position - low, [a for a in range(4) if a != axis]), x.dtype)
        x = (1 - weight) * x.take(low, axis) + weight * x.take(np.minimum(low + 1, size - 1), axis)
    return x


@jax.jit
def global_mean(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch 1 1 channels"]:
    """Computes the mean of every channel of every image."""
    return x.mean((1, 2), keepdims=True)


def max_pool(
    x: Float[Array, "batch height width channels"], padding: Padding
) -> Float[Array, "batch half_height half_width channels"]:
    """Computes the maximum of 3x3 pixels, with stride 2."""
    pads = [pad_widths(size, 3, 2, padding) for size in x.shape[1:3]]
    return nnx.max_pool(x, (3, 3), (2, 2), pads)


def he_normal(rngs: nnx.Rngs, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Draws a kernel from a normal distribution with variance 2 / fan-in (Sec. 4.1; He et al. 2015, Eq. 10).

    NumPy draws, because XLA would compile a sampler for each of some fifty shapes.

    Args:
        rngs: Seed.
        shape: Shape of the kernel: height, width, in, out.
        dtype: Dtype of the kernel.
    """

    def draw(seed):
        deviation = np.sqrt(2 / np.prod(shape[:-1]))
        return np.random.default_rng(np.asarray(seed)).normal(0, deviation, shape).astype(dtype)

    seed = jax.random.key_data(rngs.params())
    return jax.pure_callback(draw, jax.ShapeDtypeStruct(shape, dtype), seed)


class Conv(nnx.Module):
    """Dense convolution.

    Args:
        in_channels: Input width.
        out_channels: Output width.
        kernel_size: Kernel size, odd.
        stride: Stride along both axes.
        padding: Padding as in `depthwise.pad_widths`.
        bias: Initial value of the bias; `None` for a layer without bias.
        param_dtype: Dtype of the parameters.
        rngs: Seed of the initialization with `he_normal`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        padding: Padding = "SAME",
        *,
        bias: float | None = None,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        self.kernel = nnx.Param(he_normal(rngs, shape, param_dtype))
        self.bias = None if bias is None else nnx.Param(jnp.full(out_channels, bias, param_dtype))
        self.param_dtype = jnp.dtype(param_dtype)
        self.stride, self.padding = stride, padding
        self.implementation: Implementation | None = None

    @property
    def in_channels(self) -> int:
        """Input width."""
        return self.kernel.shape[2]

    @property
    def out_channels(self) -> int:
        """Output width."""
        return self.kernel.shape[3]

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer; a 1x1 kernel shifts nothing and is a matrix product."""
        kernel = self.kernel[...].astype(x.dtype)
        size, implementation = kernel.shape[0], self.implementation or default_implementation()
        if size == self.stride == 1 and implementation == "shifted":
            y = (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], self.out_channels)
        else:
            pads = [pad_widths(length, size, self.stride, self.padding) for length in x.shape[1:3]]
            y = lax.conv_general_dilated(
                x, kernel, (self.stride, self.stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)[None, None, None]


class DepthwiseConv(nnx.Module):
    """Depthwise convolution without bias, on request of the upsampled input.

    Args:
        channels: Number of channels of input and output.
        kernel_size: Kernel size, odd; 3 or 5 when upsampling.
        stride: Stride, 1 or 2.
        padding: Padding as in `depthwise.pad_widths`.
        upsample: Whether to double the size first (nearest); only with stride 1.
        param_dtype: Dtype of the kernel.
        rngs: Seed of the initialization with `he_normal`.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: Padding = "SAME",
        *,
        upsample: bool = False,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.kernel = nnx.Param(he_normal(rngs, (kernel_size, kernel_size, 1, channels), param_dtype))
        self.param_dtype = jnp.dtype(param_dtype)
        self.stride, self.padding, self.upsample = stride, padding, upsample
        self.implementation: Implementation | None = None

    @property
    def in_channels(self) -> int:
        """Input width."""
        return self.kernel.shape[3]

    @property
    def out_channels(self) -> int:
        """Output width, the input's."""
        return self.kernel.shape[3]

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """Applies the layer."""
        kernel = self.kernel[...].astype(x.dtype)
        if self.upsample:
            return upsampled_depthwise_conv(x, kernel, self.implementation)
        return depthwise_conv(x, kernel, self.stride, self.padding, self.implementation)


class MixedConv(nnx.Module):
    """Mixed convolution of MixNet, one convolution for each group of channels (Tan and Le 2019, section 3).

    Args:
        parts: Convolutions, one for each group; the channels of the input go to them in order.
    """

    def __init__(self, parts: Sequence[Any]):
        self.parts = nnx.List[Any](parts)
        self.param_dtype = parts[0].param_dtype

    @property
    def out_channels(self) -> int:
        """Output width."""
        return sum(part.out_channels for part in self.parts)

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer."""
        ends = list(itertools.accumulate(part.in_channels for part in self.parts))
        groups = jnp.split(x, ends[:-1], axis=-1)
        return jnp.concatenate([part(group) for part, group in zip(self.parts, groups, strict=True)], axis=-1)


def split_channels(channels: int, groups: int) -> list[int]:
    """Divides channels into groups; the remainder goes to the first one (timm's rule)."""
    return [channels // groups + (channels % groups if group == 0 else 0) for group in range(groups)]


def pointwise_conv(in_channels: int, out_channels: int, groups: int = 1, **options) -> Conv | MixedConv:
    """Builds a 1x1 convolution; each of several `groups` has its share of the input and of the output."""
    if groups == 1:
        return Conv(in_channels, out_channels, **options)
    widths = zip(split_channels(in_channels, groups), split_channels(out_channels, groups), strict=True)
    return MixedConv([Conv(*width, **options) for width in widths])


def depthwise_conv_layer(channels: int, kernel_size: int | tuple[int, ...], **options) -> DepthwiseConv | MixedConv:
    """Builds a depthwise convolution; each of several kernel sizes has its share of the channels."""
    if isinstance(kernel_size, int):
        return DepthwiseConv(channels, kernel_size, **options)
    widths = split_channels(channels, len(kernel_size))
    return MixedConv([DepthwiseConv(*part, **options) for part in zip(widths, kernel_size, strict=True)])


class BatchNorm(nnx.Module):
    """Batch normalization over all axes but the last (Ioffe and Szegedy 2015), momentum 0.9.

    The attribute `epsilon` is 1e-5, PyTorch's; weights from TensorFlow need 1e-3, which
    `model.set_attributes(epsilon=1e-3)` sets in all layers.

    Unlike `nnx.BatchNorm` it keeps statistics in full precision whatever the dtype of its input. `train()` and
    `eval()` choose between the statistics of the batch and the running ones.

    Args:
        channels: Number of channels.
        param_dtype: Dtype of parameters and statistics.
    """

    def __init__(self, channels: int, *, param_dtype=jnp.float32):
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))
        self.mean = nnx.BatchStat(jnp.zeros(channels, param_dtype))
        self.var = nnx.BatchStat(jnp.ones(channels, param_dtype))
        self.use_running_average = False
        self.epsilon, self.momentum = 1e-5, 0.9

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Normalizes `x`, and in training mode updates the running statistics."""
        full = x.astype(self.mean.dtype)
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            mean = full.mean((0, 1, 2))
            var = jnp.maximum(jnp.square(full).mean((0, 1, 2)) - jnp.square(mean), 0)
            for running, value in ((self.mean, mean), (self.var, var)):
                # `running[...] = ` would ask a traced value for its sharding, which takes half of the time of tracing.
                running.set_value(self.momentum * running[...] + (1 - self.momentum) * lax.stop_gradient(value))
        scale = self.scale[...] * lax.rsqrt(var + self.epsilon)
        offset = self.bias[...] - mean * scale
        return (full * scale[None, None, None] + offset[None, None, None]).astype(x.dtype)


class ConvNorm(nnx.Module):
    """Convolution, batch normalization, activation.

    Args:
        conv: Convolution without bias.
        activation: Elementwise activation; `None` for a linear output.
    """

    def __init__(self, conv: Conv | DepthwiseConv | MixedConv, activation: Activation | None = None):
        self.conv = conv
        self.norm = BatchNorm(conv.out_channels, param_dtype=conv.param_dtype)
        self.activation = activation

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer."""
        y = self.norm(self.conv(x))
        return y if self.activation is None else self.activation(y)
