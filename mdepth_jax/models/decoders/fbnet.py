"""The FBNet decoder: inverted residual blocks that upsample, with skips from the encoder."""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.blocks import InvertedResidual
from mdepth_jax.models.decoders.outputs import DepthOutputs, predictor
from mdepth_jax.models.layers import round_channels, upsample_bilinear

Fusion = Literal["concat", "add"]
LastLayer = Literal["upsample", "block"]


def up_block(in_channels: int, out_channels: int, kernel_size: int, expansion: float, **options) -> InvertedResidual:
    """Builds a block that doubles the size, its middle width a multiple of its OUTPUT width."""
    middle = round_channels(out_channels * expansion)
    return InvertedResidual(in_channels, middle, out_channels, kernel_size, upsample=True, **options)


def fuse(
    x: Float[Array, "batch height width channels"],
    skip: Float[Array, "batch height width skip_channels"],
    fusion: Fusion | None,
) -> Float[Array, "batch height width _"]:
    """Joins features with a skip; None leaves the skip out."""
    match fusion:
        case "concat":
            return jnp.concatenate([x, skip], axis=-1)
        case "add":
            return x + skip
    return x


class Head(nnx.Module):
    """Intermediate prediction (training only): upsampling blocks to half resolution, then a 1x1 convolution.

    Args:
        in_channels: Width of the decoder stage that it reads.
        widths: Output widths of the blocks.
        kernel_size: Kernel size of the depthwise convolutions.
        expansion: Middle width of a block as a multiple of its output width.
        bias: Initial bias of the prediction.
        scale: Factor of its initial kernel, see `predictor`.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        kernel_size: int,
        expansion: float,
        bias: float,
        scale: float,
        *,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        self.blocks = nnx.List[InvertedResidual]()
        for width in widths:
            self.blocks.append(up_block(in_channels, width, kernel_size, expansion, **options))
            in_channels = width
        self.predict = predictor(in_channels, bias, scale, **options)

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch out_height out_width 1"]:
        """Predicts depth at full resolution."""
        for block in self.blocks:
            x = block(x)
        return upsample_bilinear(self.predict(x).astype(jnp.float32))


class FBNetDecoder(nnx.Module):
    """Four upsampling blocks to half resolution, each followed by a skip, and a linear 1x1 prediction.

    A block's output is as wide as the skip that it is joined with; with MobileNetV2 that is
    `1600 ->192-> 96`, `192 ->64-> 32`, `64 ->48-> 24`, `48 ->32-> 16`, `32 -> 1` (Sec. 3.1, Figure 2).

    Args:
        widths: Numbers of channels of the encoder's six features.
        kernel_size: Kernel size of the depthwise convolutions.
        expansion: Middle width of a block as a multiple of its output width.
        fusion: Fusion with the skips, `"concat"` or `"add"`; adding leaves out the one at 1/32, as wide as no other.
        last_layer: Step from half to full resolution: `"upsample"` the prediction (bilinear; "x112" in the paper), or
            predict after one more `"block"`, as wide as the fourth.
        heads: Number of intermediate predictions, 0 to 2: after block 3, with two after block 2 as well (Sec. 3.3).
        output_bias: Initial bias of every prediction.
        output_scale: Factor of the initial kernel of every prediction, see `predictor`.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.
    """

    def __init__(
        self,
        widths: Sequence[int],
        kernel_size: int = 5,
        expansion: float = 2.0,
        fusion: Fusion = "concat",
        last_layer: LastLayer = "upsample",
        heads: int = 0,
        output_bias: float = 0.0,
        output_scale: float = 1.0,
        *,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        options = {"param_dtype": param_dtype, "rngs": rngs}
        *outputs, deepest, head_width = widths
        outputs = outputs[::-1]
        self.fusion = fusion
        # Of the head with the skip at 1/32, and of each block with its skip.
        self.fusions: tuple[Fusion | None, ...] = ("concat" if fusion == "concat" else None, *[fusion] * len(outputs))
        self.deterministic = False
        merge = 2 if fusion == "concat" else 1
        channels = head_width + deepest if fusion == "concat" else head_width
        self.blocks = nnx.List[InvertedResidual]()
        for width in outputs:
            self.blocks.append(up_block(channels, width, kernel_size, expansion, **options))
            channels = merge * width
        self.heads = nnx.List(
            Head(
                merge * outputs[stage],
                outputs[stage + 1 :],
                kernel_size,
                expansion,
                output_bias,
                output_scale,
                **options,
            )
            for stage in range(3 - heads, 3)
        )
        has_last = last_layer == "block"
        self.last = up_block(channels, outputs[-1], kernel_size, expansion, **options) if has_last else None
        channels = outputs[-1] if has_last else channels
        self.predict = predictor(channels, output_bias, output_scale, **options)

    def __call__(self, features: tuple[Float[Array, "batch _ _ _"], ...]) -> DepthOutputs:
        """Decodes the encoder's features."""
        *skips, x = features
        x = fuse(x, skips[-1], self.fusions[0])
        stages = []
        for block, skip, fusion in zip(self.blocks, skips[-2::-1], self.fusions[1:], strict=True):
            x = fuse(block(x), skip, fusion)
            stages.append(x)
        inner = stages[-1 - len(self.heads) : -1]
        auxiliary = (
            () if self.deterministic else tuple(head(stage) for head, stage in zip(self.heads, inner, strict=True))
        )
        if self.last is None:
            depth = upsample_bilinear(self.predict(x).astype(jnp.float32))
        else:
            depth = self.predict(self.last(x)).astype(jnp.float32)
        return DepthOutputs(depth, auxiliary, x)
