"""MnasNet-B1 (Tan et al. 2019, Table 2; the network without squeeze-excite), without classifier."""

from mdepth_jax.models.encoders.inverted_residuals import InvertedResidualEncoder, Stage, Table


class MNasNet(InvertedResidualEncoder):
    """MnasNet-B1 encoder. Skips have 16, 24, 40, 96, 320 channels."""

    table = Table(
        stem=32,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block, kernel size.
            Stage(1, 16, 1, 1, 3),
            Stage(3, 24, 3, 2, 3),
            Stage(3, 40, 3, 2, 5),
            Stage(6, 80, 3, 2, 5),
            Stage(6, 96, 2, 1, 3),
            Stage(6, 192, 4, 2, 5),
            Stage(6, 320, 1, 1, 3),
        ),
        head=1280,
    )
