"""Blocks that several encoders and decoders are made of."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import (
    Activation,
    Conv,
    ConvNorm,
    DepthwiseConv,
    depthwise_conv_layer,
    global_mean,
    pointwise_conv,
)


class SqueezeExcite(nnx.Module):
    """Weighs every channel by a gate that sees the means of all channels (Hu et al. 2018, Figure 2).

    Args:
        channels: Of input and output.
        squeezed: Width between the two 1x1 convolutions.
        activation: After the first.
        gate: After the second; its values weigh the channels.
        param_dtype: Of the parameters.
        rngs: Seed of the initialization.
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        activation: Activation,
        gate: Activation,
        *,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.reduce = Conv(channels, squeezed, bias=0.0, param_dtype=param_dtype, rngs=rngs)
        self.expand = Conv(squeezed, channels, bias=0.0, param_dtype=param_dtype, rngs=rngs)
        self.activation, self.gate = activation, gate

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Applies the layer."""
        return x * self.gate(self.expand(self.activation(self.reduce(global_mean(x)))))


class BiasedHead(nnx.Module):
    """1x1 convolution with bias, activation: the last layer of MobileNetV3 and GhostNet.

    The originals apply it to the global average; here it is applied to every pixel.

    Args:
        in_channels: Input width.
        out_channels: Output width.
        activation: Elementwise.
        options: `param_dtype` and `rngs` of the parameters.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: Activation, **options):
        self.conv = Conv(in_channels, out_channels, bias=0.0, **options)
        self.activation = activation

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch height width out_channels"]:
        """Applies the layer."""
        return self.activation(self.conv(x))


class SeparableConv(nnx.Module):
    """Depthwise - BN - activation, 1x1 - BN - activation: the block of MobileNetV1 and of the NNConv5 decoder.

    Args:
        in_channels: Input width.
        out_channels: Output width.
        kernel_size: Of the depthwise convolution.
        stride: Of the depthwise convolution.
        upsample: Doubles the size first (nearest).
        activation: Elementwise.
        padding: See `depthwise.pad_widths`.
        param_dtype: Of the parameters.
        rngs: Seed of the initialization.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        upsample: bool = False,
        activation: Activation = nnx.relu,
        padding: Padding = "SAME",
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        depthwise = DepthwiseConv(in_channels, kernel_size, stride, padding, upsample=upsample, **options)
        self.depthwise = ConvNorm(depthwise, activation)
        self.pointwise = ConvNorm(Conv(in_channels, out_channels, **options), activation)

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        return self.pointwise(self.depthwise(x))


class InvertedResidual(nnx.Module):
    """The block of MobileNetV2 (Sandler et al. 2018), its heirs and, upsampling, FBNet (`mobile_cv`'s `IRFBlock`).

    1x1 - BN - activation, nearest x2 if upsampling, depthwise - BN - activation, squeeze-excite if any, 1x1 - BN;
    the input is added where the block keeps width and size.

    Args:
        in_channels: Input width.
        mid_channels: Width between the two 1x1 convolutions.
        out_channels: Output width.
        kernel_size: Of the depthwise convolution, or several for as many groups of its channels (MixNet).
        stride: Of the depthwise convolution.
        upsample: Doubles the size.
        always_expand: Keeps the first 1x1 convolution where it would not change the width.
        groups: Of the channels of the first and of the second 1x1 convolution (MixNet).
        squeeze_excite: Applied to the middle channels.
        activation: Elementwise.
        padding: See `depthwise.pad_widths`.
        param_dtype: Of the parameters.
        rngs: Seed of the initialization.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...] = 3,
        *,
        stride: int = 1,
        upsample: bool = False,
        always_expand: bool = False,
        groups: tuple[int, int] = (1, 1),
        squeeze_excite: SqueezeExcite | None = None,
        activation: Activation = nnx.relu,
        padding: Padding = "SAME",
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        expands = always_expand or mid_channels != in_channels
        expand = pointwise_conv(in_channels, mid_channels, groups[0], **options) if expands else None
        self.expand = None if expand is None else ConvNorm(expand, activation)
        depthwise = depthwise_conv_layer(
            mid_channels, kernel_size, stride=stride, padding=padding, upsample=upsample, **options
        )
        self.depthwise = ConvNorm(depthwise, activation)
        self.squeeze_excite = squeeze_excite
        self.project = ConvNorm(pointwise_conv(mid_channels, out_channels, groups[1], **options))
        self.residual = in_channels == out_channels and stride == 1 and not upsample

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        y = x if self.expand is None else self.expand(x)
        y = self.depthwise(y)
        y = self.project(y if self.squeeze_excite is None else self.squeeze_excite(y))
        return x + y if self.residual else y


class FusedResidual(nnx.Module):
    """An inverted residual whose first two convolutions are one dense one, faster where layers are narrow.

    kxk - BN - activation, 1x1 - BN; the input is added where the block keeps width and size (Gupta & Tan 2019,
    EfficientNet-EdgeTPU; timm's `EdgeResidual`).

    Args:
        in_channels: Input width.
        mid_channels: Width between the two convolutions.
        out_channels: Output width.
        kernel_size: Of the first convolution.
        stride: Of the first convolution.
        activation: Elementwise.
        padding: See `depthwise.pad_widths`.
        param_dtype: Of the parameters.
        rngs: Seed of the initialization.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        activation: Activation = nnx.relu,
        padding: Padding = "SAME",
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        self.expand = ConvNorm(Conv(in_channels, mid_channels, kernel_size, stride, padding, **options), activation)
        self.project = ConvNorm(Conv(mid_channels, out_channels, **options))
        self.residual = in_channels == out_channels and stride == 1

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        y = self.project(self.expand(x))
        return x + y if self.residual else y
