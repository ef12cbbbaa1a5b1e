"""EfficientNet-B0 (Tan and Le 2019, Table 1) and EfficientNet-EdgeTPU-S (Gupta and Tan 2019), without classifier."""

from functools import partial

from flax import nnx

from mdepth_jax.models.encoders.inverted_residuals import InvertedResidualEncoder, Stage, Table
from mdepth_jax.models.layers import round_channels

MBConv = partial(Stage, activation=nnx.silu, squeeze=0.25)
FusedConv = partial(Stage, block="fused")


class EfficientNet(InvertedResidualEncoder):
    """Rule of both networks: `width` multiplies the head's width, too; the number of blocks is fixed."""

    def head_width(self, width: float) -> int:
        """Returns the width of the head, which scales like every other width."""
        return round_channels(self.table.head * width)


class EfficientNetB0(EfficientNet):
    """EfficientNet-B0 encoder. Skips have 16, 24, 40, 112, 320 channels."""

    table = Table(
        stem=32,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block, kernel size.
            MBConv(1, 16, 1, 1, 3),
            MBConv(6, 24, 2, 2, 3),
            MBConv(6, 40, 2, 2, 5),
            MBConv(6, 80, 3, 2, 3),
            MBConv(6, 112, 3, 1, 5),
            MBConv(6, 192, 4, 2, 5),
            MBConv(6, 320, 1, 1, 3),
        ),
        head=1280,
        activation=nnx.silu,
    )


class EfficientNetES(EfficientNet):
    """EfficientNet-EdgeTPU-S encoder. Skips have 24, 32, 48, 144, 192 channels.

    Its first blocks are fused, and none has squeeze-excite. The original expands its first block to 4 times the OUTPUT
    width, 24: as many channels as 3 times the input width.
    """

    table = Table(
        stem=32,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block, kernel size.
            FusedConv(3, 24, 1, 1, 3),
            FusedConv(8, 32, 2, 2, 3),
            FusedConv(8, 48, 4, 2, 3),
            Stage(8, 96, 5, 2, 5),
            Stage(8, 144, 4, 1, 5),
            Stage(8, 192, 2, 2, 5),
        ),
        head=1280,
    )
