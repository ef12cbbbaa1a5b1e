"""Layers that encoders and decoders share. Every layer computes in the dtype of its input."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import DepthwiseConv, Padding, he_normal, pad_widths

Activation = Callable[[Array], Array]


def round_channels(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of `divisor`, never more than 10 % below `channels` (the MobileNet rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def upsample_nearest(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Repeats every pixel 2x2 times."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)


def upsample_bilinear(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Doubles the size by bilinear interpolation with half-pixel centres."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "bilinear")


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
        rngs: Seeds of the initialisation: normal, variance 2 / fan-in (He et al. 2015, Eq. 10).
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

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer."""
        kernel = self.kernel[...].astype(x.dtype)
        pads = [pad_widths(length, kernel.shape[0], self.stride, self.padding) for length in x.shape[1:3]]
        y = lax.conv_general_dilated(
            x, kernel, (self.stride, self.stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015), eps 1e-5, momentum 0.9.

    Unlike `nnx.BatchNorm` it keeps statistics in full precision whatever the dtype of its input. `train()`
    and `eval()` choose between the statistics of the batch and the running ones.

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

    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        """Normalises `x`, and in training mode moves the running statistics."""
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            axes = tuple(range(x.ndim - 1))
            full = x.astype(self.mean.dtype)
            mean = full.mean(axes)
            var = jnp.square(full - mean).mean(axes)
            for running, value in ((self.mean, mean), (self.var, var)):
                running[...] = self.momentum * running[...] + (1 - self.momentum) * lax.stop_gradient(value)
        scale = self.scale[...] * lax.rsqrt(var + self.epsilon)
        offset = self.bias[...] - mean * scale
        return x * scale.astype(x.dtype) + offset.astype(x.dtype)


class ConvNorm(nnx.Module):
    """Convolution, batch normalisation, activation.

    Args:
        conv: Without bias.
        activation: `None` for a linear output.
        param_dtype: Of the normalisation.
    """

    def __init__(
        self, conv: Conv | DepthwiseConv, activation: Activation | None = None, *, param_dtype=jnp.float32
    ):
        self.conv = conv
        self.norm = BatchNorm(conv.out_channels, param_dtype=param_dtype)
        self.activation = activation

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the layer."""
        y = self.norm(self.conv(x))
        return y if self.activation is None else self.activation(y)


class InvertedResidual(nnx.Module):
    """The block of MobileNetV2 (Sandler et al. 2018) and, up-sampling, of FBNet (`mobile_cv`'s `IRFBlock`).

    1x1 - BN - activation, nearest x2 if up-sampling, depthwise - BN - activation, 1x1 - BN; the input is
    added where the block keeps width and size.

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
        rngs: Seeds of the initialisation.
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
        options = {"param_dtype": param_dtype, "rngs": rngs}
        self.upsample = upsample
        self.residual = in_channels == out_channels and stride == 1 and not upsample
        expand = Conv(in_channels, mid_channels, **options)
        depthwise = DepthwiseConv(mid_channels, kernel_size, stride, padding, **options)
        project = Conv(mid_channels, out_channels, **options)
        has_expand = always_expand or mid_channels != in_channels
        self.expand = ConvNorm(expand, activation, param_dtype=param_dtype) if has_expand else None
        self.depthwise = ConvNorm(depthwise, activation, param_dtype=param_dtype)
        self.project = ConvNorm(project, param_dtype=param_dtype)

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        y = x if self.expand is None else self.expand(x)
        if self.upsample:
            y = upsample_nearest(y)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y
