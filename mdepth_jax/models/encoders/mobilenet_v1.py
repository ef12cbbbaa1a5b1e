"""MobileNetV1 (Howard et al. 2017, Table 1) as FastDepth trains it (Wofk et al. 2019): ReLU6, without classifier."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.blocks import SeparableConv
from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import Conv, ConvNorm, round_channels

# Output width, stride.
BLOCKS = (
    (64, 1),
    (128, 2), (128, 1),
    (256, 2), (256, 1),
    (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
STEM = 32
SKIPS = (0, 2, 4, 10, 11)


class MobileNetV1(nnx.Module):
    """MobileNetV1 encoder. Skips have 64, 128, 256, 512, 1024 channels.

    It has no head convolution; its last block takes its place.

    Args:
        width: Multiplier of every width.
        padding: Padding of every strided convolution, `"SAME"` or `"symmetric"`; it belongs to the weights.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.

    Attributes:
        width: Multiplier of the widths.
        widths: Numbers of channels of the six features.
    """

    def __init__(self, width: float = 1.0, padding: Padding = "SAME", *, param_dtype=jnp.float32, rngs: nnx.Rngs):
        self.width = width
        options = {"padding": padding, "param_dtype": param_dtype, "rngs": rngs}
        channels = round_channels(STEM * width)
        self.stem = ConvNorm(Conv(3, channels, 3, 2, **options), nnx.relu6)
        self.blocks = nnx.List[SeparableConv]()
        block_widths = [round_channels(block_width * width) for block_width, _ in BLOCKS]
        for out, (_, stride) in zip(block_widths, BLOCKS, strict=True):
            self.blocks.append(SeparableConv(channels, out, stride=stride, activation=nnx.relu6, **options))
            channels = out
        self.widths = (*(block_widths[index] for index in SKIPS), channels)

    def __call__(self, image: Float[Array, "batch height width 3"]) -> tuple[Float[Array, "batch _ _ _"], ...]:
        """Computes features at strides 2, 4, 8, 16, 32, and those of the last block at stride 32."""
        x = self.stem(image)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return (*(outputs[index] for index in SKIPS), x)
