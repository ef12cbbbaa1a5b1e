"""The decoder of the ReDWeb network (Xian et al. 2018, Figure 4), as the YouTube3D project publishes it."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.decoders.outputs import DepthOutputs, predictor
from mdepth_jax.models.layers import Conv, ConvNorm, upsample_bilinear_aligned


class ResidualConv(nnx.Module):
    """ReLU, 3x3 - BN - ReLU, 3x3 - BN, and the sum with the output of the FIRST ReLU.

    Xian et al. add the input itself; the published code rectifies it in place, and its weights were trained that way.
    """

    def __init__(self, channels: int, **options):
        self.first = ConvNorm(Conv(channels, channels, 3, **options), nnx.relu)
        self.second = ConvNorm(Conv(channels, channels, 3, **options))

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Applies the block."""
        x = nnx.relu(x)
        return x + self.second(self.first(x))


class FeatureFusion(nnx.Module):
    """Adds a skip to the deeper features and doubles the size (bilinear, corners aligned).

    Args:
        skip_channels: Width of the skip.
        deep_channels: Width of the deeper features, which are as high and as wide as the skip.
        channels: Output width.
        options: Keyword arguments of the layers, `param_dtype` and `rngs`.
    """

    def __init__(self, skip_channels: int, deep_channels: int, channels: int, **options):
        self.from_skip = ConvNorm(Conv(skip_channels, channels, 3, **options))
        self.skip_residual = ResidualConv(channels, **options)
        self.from_deep = ConvNorm(Conv(deep_channels, channels, 3, **options))
        self.residual = ResidualConv(channels, **options)

    def __call__(
        self,
        skip: Float[Array, "batch height width skip_channels"],
        deep: Float[Array, "batch height width deep_channels"],
    ) -> Float[Array, "batch 2*height 2*width channels"]:
        """Applies the block."""
        x = self.skip_residual(self.from_skip(skip)) + self.from_deep(deep)
        return upsample_bilinear_aligned(self.residual(x))


class ReDWebDecoder(nnx.Module):
    """Three feature fusions to half resolution, half as wide as their skips, and two 3x3 convolutions to a linear map.

    With ResNet-50: `2048 -> 512 -> 256 -> 128 -> 1`. Every upsampling is bilinear with aligned corners. The features
    in its output are those of the last fusion.

    Args:
        widths: Numbers of channels of the encoder's features; only the skips at 1/4, 1/8, 1/16 and the last feature are
            read.
        output_bias: Initial bias of the prediction.
        output_scale: Factor of the initial kernel of the prediction, see `predictor`.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.
    """

    def __init__(
        self,
        widths: Sequence[int],
        output_bias: float = 0.0,
        output_scale: float = 1.0,
        *,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        self.fusions = nnx.List[FeatureFusion]()
        channels = widths[-1]
        for skip_channels in widths[3:0:-1]:
            self.fusions.append(FeatureFusion(skip_channels, channels, skip_channels // 2, **options))
            channels = skip_channels // 2
        self.heads = nnx.List[nnx.Module]()
        self.smooth = ConvNorm(Conv(channels, channels, 3, bias=0.0, **options), nnx.relu)
        self.predict = predictor(channels, output_bias, output_scale, kernel_size=3, **options)

    def __call__(self, features: tuple[Float[Array, "batch _ _ _"], ...]) -> DepthOutputs:
        """Decodes the encoder's features."""
        x = upsample_bilinear_aligned(features[-1])
        for fusion, skip in zip(self.fusions, features[3:0:-1], strict=True):
            x = fusion(skip, x)
        depth = self.predict(self.smooth(x)).astype(jnp.float32)
        return DepthOutputs(upsample_bilinear_aligned(depth), (), x)
