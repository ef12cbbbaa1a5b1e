"""Blocks shared by encoders and decoders."""

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
    """Scales every channel by a gate computed from the means of all channels (Hu et al. 2018, Figure 2).

    Args:
        channels: Number of channels of input and output.
        squeezed: Width between the two 1x1 convolutions.
        activation: Activation after the first one.
        gate: Activation after the second one; its values scale the channels.
        param_dtype: Dtype of the parameters.
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
    """1x1 convolution with bias and activation: the last layer of MobileNetV3 and GhostNet.

    The originals apply it to the global average; this one is applied to every pixel.

    Args:
        in_channels: Input width.
        out_channels: Output width.
        activation: Elementwise activation.
        options: Keyword arguments of the layers, `param_dtype` and `rngs`.
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
        kernel_size: Kernel size of the depthwise convolution.
        stride: Stride of the depthwise convolution.
        upsample: Whether to double the size first (nearest).
        activation: Elementwise activation.
        padding: Padding as in `depthwise.pad_widths`.
        param_dtype: Dtype of the parameters.
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
    """Block of MobileNetV2 (Sandler et al. 2018), its descendants and, upsampling, FBNet (`mobile_cv`'s `IRFBlock`).

    1x1 - BN - activation, nearest x2 if upsampling, depthwise - BN - activation, squeeze-excite if any, 1x1 - BN;
    the input is added where the block keeps width and size.

    Args:
        in_channels: Input width.
        mid_channels: Width between the two 1x1 convolutions.
        out_channels: Output width.
        kernel_size: Kernel size of the depthwise convolution, or one for each group of its channels (MixNet).
        stride: Stride of the depthwise convolution.
        upsample: Whether to double the size first (nearest).
        always_expand: Whether to keep the first 1x1 convolution where it does not change the width.
        groups: Numbers of groups of the channels of the first and of the second 1x1 convolution (MixNet).
        squeeze_excite: Layer for the middle channels; None for none.
        activation: Elementwise activation.
        padding: Padding as in `depthwise.pad_widths`.
        param_dtype: Dtype of the parameters.
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
    """Inverted residual whose first two convolutions are fused into a dense one, faster where layers are narrow.

    kxk - BN - activation, 1x1 - BN; the input is added where the block keeps width and size (Gupta & Tan 2019,
    EfficientNet-EdgeTPU; timm's `EdgeResidual`).

    Args:
        in_channels: Input width.
        mid_channels: Width between the two convolutions.
        out_channels: Output width.
        kernel_size: Kernel size of the first convolution.
        stride: Stride of the first convolution.
        activation: Elementwise activation.
        padding: Padding as in `depthwise.pad_widths`.
        param_dtype: Dtype of the parameters.
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
