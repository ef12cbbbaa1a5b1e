"""MobileNetV2 (Sandler et al. 2018, Table 2), with its head convolution and without classifier."""

from collections.abc import Iterator

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import Conv, ConvNorm, InvertedResidual, round_channels

# Expansion, output width, number of blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, HEAD = 32, 1280


class MobileNetV2(nnx.Module):
    """The encoder. Skips are the last block outputs at each resolution: 16, 24, 32, 96, 320 channels.

    Args:
        width: Multiplier of every width; the head's is never below 1280.
        padding: Of every strided convolution, `"SAME"` or `"symmetric"`; it belongs to the weights.
        param_dtype: Of the parameters.
        rngs: Seeds of the initialisation.

    Attributes:
        widths: Channels of the six features that a call gives.
    """

    def __init__(self, width: float = 1.0, padding: Padding = "SAME", *, param_dtype=jnp.float32, rngs: nnx.Rngs):
        options = {"padding": padding, "param_dtype": param_dtype, "rngs": rngs}
        channels = round_channels(STEM * width)
        self.stem = ConvNorm(Conv(3, channels, 3, 2, **options), nnx.relu6)
        self.blocks = nnx.List[InvertedResidual]()
        block_widths, strides = [], []
        for expansion, stage_width, depth, first_stride in STAGES:
            out = round_channels(stage_width * width)
            for stride in (first_stride, *[1] * (depth - 1)):
                block = InvertedResidual(
                    channels, expansion * channels, out, stride=stride, activation=nnx.relu6, **options
                )
                self.blocks.append(block)
                block_widths.append(out)
                strides.append(stride)
                channels = out
        head_width = round_channels(HEAD * max(1.0, width))
        self.head = ConvNorm(Conv(channels, head_width, **options), nnx.relu6)
        # A skip leaves before every stride of 2, and one at the end.
        self.skips = tuple(index for index, after in enumerate((*strides[1:], 2)) if after == 2)
        self.widths = (*(block_widths[i] for i in self.skips), head_width)

    def __call__(self, image: Float[Array, "batch height width 3"]) -> tuple[Float[Array, "batch _ _ _"], ...]:
        """Gives features at strides 2, 4, 8, 16, 32, and the head's at stride 32."""
        x = self.stem(image)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.skips:
                features.append(x)
        return (*features, self.head(x))

    def named_layers(self) -> Iterator[tuple[str, nnx.Module]]:
        """Every convolution and normalisation under its torchvision name."""
        yield from conv_norm_layers("features.0", self.stem)
        for number, block in enumerate(self.blocks, start=1):
            prefix = f"features.{number}.conv"
            position = 0
            for layer in (block.expand, block.depthwise):
                if layer is not None:
                    yield from conv_norm_layers(f"{prefix}.{position}", layer)
                    position += 1
            yield f"{prefix}.{position}", block.project.conv
            yield f"{prefix}.{position + 1}", block.project.norm
        yield from conv_norm_layers(f"features.{len(self.blocks) + 1}", self.head)


def conv_norm_layers(prefix: str, layer: ConvNorm) -> Iterator[tuple[str, nnx.Module]]:
    """The two layers of torchvision's `Conv2dNormActivation`."""
    yield f"{prefix}.0", layer.conv
    yield f"{prefix}.1", layer.norm
