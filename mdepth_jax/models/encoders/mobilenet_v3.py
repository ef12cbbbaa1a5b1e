"""MobileNetV3-large (Howard et al. 2019, Table 1), with its last two 1x1 convolutions and without classifier."""

from functools import partial

from flax import nnx

from mdepth_jax.models.blocks import BiasedHead, SqueezeExcite
from mdepth_jax.models.encoders.inverted_residuals import InvertedResidualEncoder, Stage, Table
from mdepth_jax.models.layers import round_channels

Swish = partial(Stage, activation=nnx.hard_swish)


class MobileNetV3Large(InvertedResidualEncoder):
    """MobileNetV3-large encoder. Skips have 16, 24, 40, 112, 960 channels.

    The last skip is the output of the 1x1 convolution after the blocks.
    """

    table = Table(
        stem=16,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block, kernel size.
            Stage(1, 16, 1, 1, 3),
            Stage(4, 24, 1, 2, 3),
            Stage(3, 24, 1, 1, 3),
            Stage(3, 40, 3, 2, 5, squeeze=0.25),
            Swish(6, 80, 1, 2, 3),
            Swish(2.5, 80, 1, 1, 3),
            Swish(2.3, 80, 2, 1, 3),
            Swish(6, 112, 2, 1, 3, squeeze=0.25),
            Swish(6, 160, 3, 2, 5, squeeze=0.25),
            Swish(1, 960, 1, 1, 1, block="pointwise"),
        ),
        head=1280,
        activation=nnx.hard_swish,
    )

    def squeeze_excite(self, ratio: float, in_channels: int, mid_channels: int, **options) -> SqueezeExcite:
        """Builds the squeeze-excite layer of a block; its width follows the block's middle."""
        return SqueezeExcite(mid_channels, round_channels(ratio * mid_channels), nnx.relu, nnx.hard_sigmoid, **options)

    def make_head(self, in_channels: int, out_channels: int, **options) -> BiasedHead:
        """Builds the head, with a bias and without normalization."""
        return BiasedHead(in_channels, out_channels, self.table.activation, **options)
