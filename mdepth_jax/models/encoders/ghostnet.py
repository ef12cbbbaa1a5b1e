"""GhostNet (Han et al. 2020, Table 7), with its last two 1x1 convolutions and without classifier."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.blocks import BiasedHead, SqueezeExcite
from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import Activation, Conv, ConvNorm, DepthwiseConv, round_channels

# Stages of blocks: kernel size, middle width, output width, squeeze-excite ratio, stride.
STAGES = (
    ((3, 16, 16, 0, 1),),
    ((3, 48, 24, 0, 2),),
    ((3, 72, 24, 0, 1),),
    ((5, 72, 40, 0.25, 2),),
    ((5, 120, 40, 0.25, 1),),
    ((3, 240, 80, 0, 2),),
    (
        (3, 200, 80, 0, 1),
        (3, 184, 80, 0, 1),
        (3, 184, 80, 0, 1),
        (3, 480, 112, 0.25, 1),
        (3, 672, 112, 0.25, 1),
    ),
    ((5, 672, 160, 0.25, 2),),
    (
        (5, 960, 160, 0, 1),
        (5, 960, 160, 0.25, 1),
        (5, 960, 160, 0, 1),
        (5, 960, 160, 0.25, 1),
    ),
)
STEM, LAST, HEAD = 16, 960, 1280


class GhostModule(nnx.Module):
    """Half of the channels from a 1x1 convolution, the other half from a depthwise 3x3 of these (section 3.1)."""

    def __init__(self, in_channels: int, out_channels: int, activation: Activation | None, **options):
        half = -(-out_channels // 2)
        self.primary = ConvNorm(Conv(in_channels, half, **options), activation)
        self.cheap = ConvNorm(DepthwiseConv(half, 3, **options), activation)
        self.out_channels = out_channels

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch height width out_channels"]:
        """Applies the module."""
        x = self.primary(x)
        return jnp.concatenate([x, self.cheap(x)], axis=-1)[..., : self.out_channels]


class GhostBottleneck(nnx.Module):
    """Ghost module with ReLU, depthwise at stride 2, squeeze-excite if any, linear ghost module; plus a shortcut.

    Args:
        in_channels: Input width.
        mid_channels: Width between the ghost modules.
        out_channels: Output width.
        kernel_size: Kernel size of the strided depthwise convolution and of the shortcut's.
        squeeze: Width of the squeeze-excite layer; 0 for none.
        stride: Stride, 1 or 2.
        padding: Padding as in `depthwise.pad_widths`.
        options: Keyword arguments of the layers, `param_dtype` and `rngs`.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        kernel_size: int,
        squeeze: int,
        stride: int,
        padding: Padding,
        **options,
    ):
        def strided(channels):
            return ConvNorm(DepthwiseConv(channels, kernel_size, stride, padding, **options))

        self.expand = GhostModule(in_channels, mid_channels, nnx.relu, **options)
        self.depthwise = strided(mid_channels) if stride == 2 else None
        self.squeeze_excite = (
            SqueezeExcite(mid_channels, squeeze, nnx.relu, nnx.hard_sigmoid, **options) if squeeze else None
        )
        self.project = GhostModule(mid_channels, out_channels, None, **options)
        self.shortcut = nnx.List[ConvNorm]()
        if stride == 2 or in_channels != out_channels:
            self.shortcut.extend([strided(in_channels), ConvNorm(Conv(in_channels, out_channels, **options))])

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        y = self.expand(x)
        y = y if self.depthwise is None else self.depthwise(y)
        y = y if self.squeeze_excite is None else self.squeeze_excite(y)
        y = self.project(y)
        for part in self.shortcut:
            x = part(x)
        return x + y


class GhostNet(nnx.Module):
    """GhostNet encoder. Skips are the last block outputs at each resolution: 16, 24, 40, 112, 160 channels.

    Args:
        width: Multiplier of every width but the head's.
        padding: Padding of every strided convolution, `"SAME"` or `"symmetric"`; it belongs to the weights.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.

    Attributes:
        widths: Numbers of channels of the six features.
    """

    def __init__(self, width: float = 1.0, padding: Padding = "SAME", *, param_dtype=jnp.float32, rngs: nnx.Rngs):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        channels = round_channels(STEM * width, 4)
        self.stem = ConvNorm(Conv(3, channels, 3, 2, padding, **options), nnx.relu)
        self.stages = nnx.List[nnx.List[GhostBottleneck]]()
        skip_widths = []
        for stage in STAGES:
            self.stages.append(nnx.List[GhostBottleneck]())
            for kernel_size, mid, out, ratio, stride in stage:
                if stride == 2:
                    skip_widths.append(channels)
                mid, out = round_channels(mid * width, 4), round_channels(out * width, 4)
                squeeze = round_channels(ratio * mid, 4) if ratio else 0
                block = GhostBottleneck(channels, mid, out, kernel_size, squeeze, stride, padding, **options)
                self.stages[-1].append(block)
                channels = out
        last = round_channels(LAST * width, 4)
        self.last = ConvNorm(Conv(channels, last, **options), nnx.relu)
        self.head = BiasedHead(last, HEAD, nnx.relu, **options)
        self.widths = (*skip_widths, channels, HEAD)

    def __call__(self, image: Float[Array, "batch height width 3"]) -> tuple[Float[Array, "batch _ _ _"], ...]:
        """Computes features at strides 2, 4, 8, 16, 32, and those of the head at stride 32."""
        x = self.stem(image)
        features = []
        for stage in self.stages:
            for block in stage:
                if block.depthwise is not None:
                    features.append(x)
                x = block(x)
        return (*features, x, self.head(self.last(x)))
