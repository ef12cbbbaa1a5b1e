"""MobileNetV2 (Sandler et al. 2018, Table 2), with its head convolution and without classifier."""

from functools import partial

from flax import nnx

from mdepth_jax.models.encoders.inverted_residuals import InvertedResidualEncoder, Stage, Table
from mdepth_jax.models.layers import round_channels

Row = partial(Stage, activation=nnx.relu6)


class MobileNetV2(InvertedResidualEncoder):
    """MobileNetV2 encoder. Skips have 16, 24, 32, 96, 320 channels; the head's width is never below 1280."""

    table = Table(
        stem=32,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block.
            Row(1, 16, 1, 1),
            Row(6, 24, 2, 2),
            Row(6, 32, 3, 2),
            Row(6, 64, 4, 2),
            Row(6, 96, 3, 1),
            Row(6, 160, 3, 2),
            Row(6, 320, 1, 1),
        ),
        head=1280,
        activation=nnx.relu6,
    )

    def head_width(self, width: float) -> int:
        """Returns the width of the head, which a multiplier below 1 does not change."""
        return round_channels(self.table.head * max(1.0, width))
