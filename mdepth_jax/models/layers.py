"""Layers that encoders and decoders share.

Every layer computes in the dtype of its input. Convolutions have an attribute `implementation`, see
`depthwise.depthwise_conv`: `model.set_attributes(implementation="lax")` makes XLA convolutions of all of them.
"""

from collections.abc import Callable

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
    """Nearest multiple of `divisor`, never more than 10 % below `channels` (the MobileNet rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def upsample_bilinear(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Doubles the size by bilinear interpolation with half-pixel centres."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "bilinear")


def he_normal(rngs: nnx.Rngs, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Normal with variance 2 / fan-in, for a kernel (height, width, in, out): He et al. 2015, Eq. 10.

    NumPy draws: XLA would compile one sampler for each of some fifty shapes, ten seconds in all.
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
        kernel_size: Odd.
        stride: Step along both axes.
        padding: See `depthwise.pad_widths`.
        bias: Initial value of the bias; `None` for a layer without one.
        param_dtype: Of the parameters.
        rngs: Seed of the initialisation, see `he_normal`.
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
        self.out_channels = out_channels
        self.stride, self.padding = stride, padding
        self.implementation: Implementation | None = None

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
    """Depthwise convolution without bias, of the up-sampled input if so wished.

    Args:
        channels: Of input and output.
        kernel_size: 3 or 5.
        stride: 1 or 2.
        padding: See `depthwise.pad_widths`.
        upsample: Doubles the size first (nearest); only with stride 1.
        param_dtype: Of the kernel.
        rngs: Seed of the initialisation, see `he_normal`.
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
        self.out_channels = channels
        self.stride, self.padding, self.upsample = stride, padding, upsample
        self.implementation: Implementation | None = None

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """Applies the layer."""
        kernel = self.kernel[...].astype(x.dtype)
        if self.upsample:
            return upsampled_depthwise_conv(x, kernel, self.implementation)
        return depthwise_conv(x, kernel, self.stride, self.padding, self.implementation)


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015), eps 1e-5, momentum 0.9.

    Unlike `nnx.BatchNorm` it keeps statistics in full precision whatever the dtype of its input. `train()` and
    `eval()` choose between the statistics of the batch and the running ones.

    Args:
        channels: Width.
        param_dtype: Of parameters and statistics.
    """

    def __init__(self, channels: int, *, param_dtype=jnp.float32):
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))
        self.mean = nnx.BatchStat(jnp.zeros(channels, param_dtype))
        self.var = nnx.BatchStat(jnp.ones(channels, param_dtype))
        self.use_running_average = False
        self.epsilon, self.momentum = 1e-5, 0.9

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Normalises `x`, and in training mode moves the running statistics."""
        full = x.astype(self.mean.dtype)
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            mean = full.mean((0, 1, 2))
            var = jnp.maximum(jnp.square(full).mean((0, 1, 2)) - jnp.square(mean), 0)
            for running, value in ((self.mean, mean), (self.var, var)):
                running[...] = self.momentum * running[...] + (1 - self.momentum) * lax.stop_gradient(value)
        scale = self.scale[...] * lax.rsqrt(var + self.epsilon)
        offset = self.bias[...] - mean * scale
        return (full * scale[None, None, None] + offset[None, None, None]).astype(x.dtype)


class ConvNorm(nnx.Module):
    """Convolution, batch normalisation, activation.

    Args:
        conv: Without bias.
        activation: `None` for a linear output.
    """

    def __init__(self, conv: Conv | DepthwiseConv, activation: Activation | None = None):
        self.conv = conv
        self.norm = BatchNorm(conv.out_channels, param_dtype=conv.kernel.dtype)
        self.activation = activation

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer."""
        y = self.norm(self.conv(x))
        return y if self.activation is None else self.activation(y)


class InvertedResidual(nnx.Module):
    """The block of MobileNetV2 (Sandler et al. 2018) and, up-sampling, of FBNet (`mobile_cv`'s `IRFBlock`).

    1x1 - BN - activation, nearest x2 if up-sampling, depthwise - BN - activation, 1x1 - BN; the input is added
    where the block keeps width and size.

    Args:
        in_channels: Input width.
        mid_channels: Width between the two 1x1 convolutions.
        out_channels: Output width.
        kernel_size: Of the depthwise convolution.
        stride: Of the depthwise convolution.
        upsample: Doubles the size.
        always_expand: Keeps the first 1x1 convolution where it would not change the width.
        activation: Elementwise.
        padding: See `depthwise.pad_widths`.
        param_dtype: Of the parameters.
        rngs: Seed of the initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        upsample: bool = False,
        always_expand: bool = False,
        activation: Activation = nnx.relu,
        padding: Padding = "SAME",
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        def pointwise(inputs, outputs):
            return Conv(inputs, outputs, param_dtype=param_dtype, rngs=rngs)

        expands = always_expand or mid_channels != in_channels
        self.expand = ConvNorm(pointwise(in_channels, mid_channels), activation) if expands else None
        depthwise = DepthwiseConv(
            mid_channels, kernel_size, stride, padding, upsample=upsample, param_dtype=param_dtype, rngs=rngs
        )
        self.depthwise = ConvNorm(depthwise, activation)
        self.project = ConvNorm(pointwise(mid_channels, out_channels))
        self.residual = in_channels == out_channels and stride == 1 and not upsample

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y
