"""ResNet-50 (He et al. 2016, Table 1; the stride in the 3x3 convolution), without classifier."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import Conv, ConvNorm, max_pool

# Middle width, number of blocks, stride of the first block.
STAGES = (
    (64, 3, 1),
    (128, 4, 2),
    (256, 6, 2),
    (512, 3, 2),
)
STEM, EXPANSION = 64, 4


class Bottleneck(nnx.Module):
    """1x1 - BN - ReLU, 3x3 - BN - ReLU, 1x1 - BN, sum with the shortcut, ReLU.

    Args:
        in_channels: Input width.
        mid_channels: Width of the 3x3 convolution; the output is four times as wide.
        stride: Stride of the 3x3 convolution and of the shortcut.
        padding: Padding as in `depthwise.pad_widths`.
        options: Keyword arguments of the layers, `param_dtype` and `rngs`.
    """

    def __init__(self, in_channels: int, mid_channels: int, stride: int, padding: Padding, **options):
        out_channels = EXPANSION * mid_channels
        self.reduce = ConvNorm(Conv(in_channels, mid_channels, **options), nnx.relu)
        self.conv = ConvNorm(Conv(mid_channels, mid_channels, 3, stride, padding, **options), nnx.relu)
        self.expand = ConvNorm(Conv(mid_channels, out_channels, **options))
        projects = stride != 1 or in_channels != out_channels
        self.shortcut = ConvNorm(Conv(in_channels, out_channels, 1, stride, padding, **options)) if projects else None

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the block."""
        y = self.expand(self.conv(self.reduce(x)))
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet50(nnx.Module):
    """ResNet-50 encoder. Skips are the stem and the stages: 64, 256, 512, 1024, 2048 channels.

    It has no head convolution; its last block takes its place, and the last skip is the output of the block before.

    Args:
        width: Multiplier, 1 only.
        padding: Padding of every strided layer, `"SAME"` or `"symmetric"`; it belongs to the weights.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.

    Attributes:
        widths: Numbers of channels of the six features.

    Raises:
        ValueError: If the width is not 1.
    """

    def __init__(self, width: float = 1.0, padding: Padding = "SAME", *, param_dtype=jnp.float32, rngs: nnx.Rngs):
        if width != 1:
            raise ValueError("ResNet-50 has width 1 only")
        options = {"padding": padding, "param_dtype": param_dtype, "rngs": rngs}
        self.stem = ConvNorm(Conv(3, STEM, 7, 2, **options), nnx.relu)
        self.padding = padding
        self.stages = nnx.List[nnx.List[Bottleneck]]()
        channels = STEM
        for mid, depth, first_stride in STAGES:
            stage = nnx.List[Bottleneck]()
            for stride in (first_stride, *[1] * (depth - 1)):
                stage.append(Bottleneck(channels, mid, stride, **options))
                channels = EXPANSION * mid
            self.stages.append(stage)
        self.widths = (STEM, *(EXPANSION * mid for mid, _, _ in STAGES), channels)

    def __call__(self, image: Float[Array, "batch height width 3"]) -> tuple[Float[Array, "batch _ _ _"], ...]:
        """Computes features at strides 2, 4, 8, 16, 32, and those of the last block at stride 32."""
        x = self.stem(image)
        features = [x]
        x = max_pool(x, self.padding)
        for stage in self.stages:
            for block in stage:
                inner, x = x, block(x)
            features.append(x)
        return (*features[:-1], inner, x)
