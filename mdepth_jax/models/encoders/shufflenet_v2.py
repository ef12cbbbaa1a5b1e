"""ShuffleNetV2 (Ma et al. 2018, Table 5), with its head convolution and without classifier."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import Padding
from mdepth_jax.models.layers import Conv, ConvNorm, DepthwiseConv, max_pool

# Width multiplier: output widths of stages 2, 3, 4 and of the head.
WIDTHS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
DEPTHS = (4, 8, 4)
STEM = 24


class Branch(nnx.Module):
    """1x1 - BN - ReLU where `expands`, depthwise 3x3 - BN, 1x1 - BN - ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expands: bool, padding: Padding, **options):
        channels = out_channels if expands else in_channels
        self.expand = ConvNorm(Conv(in_channels, channels, **options), nnx.relu) if expands else None
        self.depthwise = ConvNorm(DepthwiseConv(channels, 3, stride, padding, **options))
        self.project = ConvNorm(Conv(channels, out_channels, **options), nnx.relu)

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the branch."""
        x = x if self.expand is None else self.expand(x)
        return self.project(self.depthwise(x))


class ShuffleUnit(nnx.Module):
    """Two branches whose channels are shuffled (Figure 3 c, d).

    At stride 1 the first branch passes half of the channels through; at stride 2 both read all.

    Args:
        in_channels: Input width.
        out_channels: Output width.
        stride: Stride, 1 or 2.
        padding: Padding as in `depthwise.pad_widths`.
        options: Keyword arguments of the layers, `param_dtype` and `rngs`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, padding: Padding, **options):
        half = out_channels // 2
        self.first = Branch(in_channels, half, stride, False, padding, **options) if stride == 2 else None
        self.second = Branch(half if stride == 1 else in_channels, half, stride, True, padding, **options)

    def __call__(
        self, x: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Applies the unit."""
        if self.first is None:
            first, second = jnp.split(x, 2, axis=-1)
        else:
            first, second = self.first(x), x
        return shuffle_channels(first, self.second(second))


def shuffle_channels(
    a: Float[Array, "batch height width channels"], b: Float[Array, "batch height width channels"]
) -> Float[Array, "batch height width 2*channels"]:
    """Interleaves the channels of `a` and `b`."""
    return jnp.stack([a, b], axis=-1).reshape(*a.shape[:-1], -1)


class ShuffleNetV2(nnx.Module):
    """ShuffleNetV2 encoder. Skips are the stem, the pooled stem and the three stages: 24, 24, 116, 232, 464 channels.

    Args:
        width: Column of the table: 0.5, 1, 1.5 or 2.
        padding: Padding of every strided layer, `"SAME"` or `"symmetric"`; it belongs to the weights.
        param_dtype: Dtype of the parameters.
        rngs: Seeds of the initialization.

    Attributes:
        widths: Numbers of channels of the six features.

    Raises:
        ValueError: If the table has no such width.
    """

    def __init__(self, width: float = 1.0, padding: Padding = "SAME", *, param_dtype=jnp.float32, rngs: nnx.Rngs):
        if width not in WIDTHS:
            raise ValueError(f"ShuffleNetV2 has the widths {', '.join(map(str, WIDTHS))} only")
        options = {"padding": padding, "param_dtype": param_dtype, "rngs": rngs}
        *stage_widths, head = WIDTHS[width]
        self.stem = ConvNorm(Conv(3, STEM, 3, 2, **options), nnx.relu)
        channels = STEM
        self.stages = nnx.List[nnx.List[ShuffleUnit]]()
        for out, depth in zip(stage_widths, DEPTHS, strict=True):
            stage = nnx.List([ShuffleUnit(channels, out, 2, **options)])
            stage.extend(ShuffleUnit(out, out, 1, **options) for _ in range(depth - 1))
            self.stages.append(stage)
            channels = out
        self.head = ConvNorm(Conv(channels, head, **options), nnx.relu)
        self.padding = padding
        self.widths = (STEM, STEM, *stage_widths, head)

    def __call__(self, image: Float[Array, "batch height width 3"]) -> tuple[Float[Array, "batch _ _ _"], ...]:
        """Computes features at strides 2, 4, 8, 16, 32, and those of the head at stride 32."""
        x = self.stem(image)
        features = [x]
        x = max_pool(x, self.padding)
        features.append(x)
        for stage in self.stages:
            for unit in stage:
                x = unit(x)
            features.append(x)
        return (*features, self.head(x))
