"""Encoders built from a table of inverted residual blocks: MobileNetV2 and its descendants."""

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.blocks import BiasedHead, FusedResidual, InvertedResidual, SqueezeExcite
from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import Activation, Conv, ConvNorm, round_channels

Block = InvertedResidual | FusedResidual | ConvNorm


class Stage(NamedTuple):
    """Row of a family's table: equal blocks, one after another.

    Attributes:
        expansion: Middle width of a block as a multiple of its input width.
        width: Output width.
        depth: Number of blocks.
        stride: Stride of the first block.
        kernel: Kernel size of the depthwise convolution, or one for each group of its channels.
        activation: Elementwise activation.
        squeeze: Ratio of the squeeze-excite layer, see `InvertedResidualEncoder.squeeze_excite`; 0 for none.
        groups: Numbers of groups of the channels of the first and of the second 1x1 convolution.
        block: Kind of block: inverted residual, fused residual, or a 1x1 convolution with normalization and activation.
    """

    expansion: float
    width: int
    depth: int
    stride: int
    kernel: int | tuple[int, ...] = 3
    activation: Activation = nnx.relu
    squeeze: float = 0
    groups: tuple[int, int] = (1, 1)
    block: Literal["inverted", "fused", "pointwise"] = "inverted"


class Table(NamedTuple):
    """Table of a family at width 1.

    Attributes:
        stem: Width of the first 3x3 convolution, of stride 2.
        stages: Rows of blocks.
        head: Width of the last 1x1 convolution.
        activation: Activation of stem and head.
    """

    stem: int
    stages: tuple[Stage, ...]
    head: int
    activation: Activation = nnx.relu


class InvertedResidualEncoder(nnx.Module):
    """Encoder built from the `table` of its class.

    Args:
        width: Multiplier of every width but the head's.
        padding: Padding of every strided convolution, `"SAME"` or `"symmetric"`; it belongs to the weights.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.

    Attributes:
        width: Multiplier of the widths.
        widths: Numbers of channels of the six features. Skips are the last block outputs at each resolution.
    """

    table: ClassVar[Table]

    def __init__(self, width: float = 1.0, padding: Padding = "SAME", *, param_dtype=jnp.float32, rngs: nnx.Rngs):
        self.width = width
        options = {"padding": padding, "param_dtype": param_dtype, "rngs": rngs}
        channels = round_channels(self.table.stem * width)
        self.stem = ConvNorm(Conv(3, channels, 3, 2, **options), self.table.activation)
        self.blocks = nnx.List[Block]()
        block_widths, strides = [], []
        for stage in self.table.stages:
            out = round_channels(stage.width * width)
            for stride in (stage.stride, *[1] * (stage.depth - 1)):
                self.blocks.append(self.make_block(stage, channels, out, stride, **options))
                block_widths.append(out)
                strides.append(stride)
                channels = out
        head_width = self.head_width(width)
        self.head = self.make_head(channels, head_width, **options)
        # The skips are the inputs of the blocks of stride 2, and the last output.
        self.skips = tuple(index for index, after in enumerate((*strides[1:], 2)) if after == 2)
        self.widths = (*(block_widths[i] for i in self.skips), head_width)

    def __call__(self, image: Float[Array, "batch height width 3"]) -> tuple[Float[Array, "batch _ _ _"], ...]:
        """Computes features at strides 2, 4, 8, 16, 32, and those of the head at stride 32."""
        x = self.stem(image)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.skips:
                features.append(x)
        return (*features, self.head(x))

    def positions(self) -> Iterator[tuple[int, int]]:
        """Yields stage and index of every block; a stage holds all rows of one width."""
        stage, index, previous = -1, 0, 0
        for row in self.table.stages:
            if row.width != previous:
                stage, index, previous = stage + 1, 0, row.width
            for _ in range(row.depth):
                yield stage, index
                index += 1

    def make_block(self, stage: Stage, in_channels: int, out_channels: int, stride: int, **options) -> Block:
        """Builds one block of a stage."""
        if stage.block == "pointwise":
            return ConvNorm(Conv(in_channels, out_channels, **options), stage.activation)
        mid_channels = round_channels(stage.expansion * in_channels)
        widths = in_channels, mid_channels, out_channels
        options |= {"stride": stride, "activation": stage.activation}
        if stage.block == "fused":
            assert isinstance(stage.kernel, int)
            return FusedResidual(*widths, stage.kernel, **options)
        dtype_and_seeds = {key: options[key] for key in ("param_dtype", "rngs")}
        squeeze = self.squeeze_excite(stage.squeeze, *widths[:2], **dtype_and_seeds) if stage.squeeze else None
        return InvertedResidual(*widths, stage.kernel, groups=stage.groups, squeeze_excite=squeeze, **options)

    def squeeze_excite(self, ratio: float, in_channels: int, mid_channels: int, **options) -> SqueezeExcite:
        """Builds the squeeze-excite layer of a block; its width follows the block's input (EfficientNet's rule)."""
        return SqueezeExcite(mid_channels, round(ratio * in_channels), nnx.silu, nnx.sigmoid, **options)

    def head_width(self, width: float) -> int:
        """Returns the width of the head."""
        return self.table.head

    def make_head(self, in_channels: int, out_channels: int, **options) -> ConvNorm | BiasedHead:
        """Builds the head."""
        return ConvNorm(Conv(in_channels, out_channels, **options), self.table.activation)
