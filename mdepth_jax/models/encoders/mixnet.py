"""MixNet-S and MixNet-M (Tan and Le 2019, Figure 5), with their head convolution and without classifier."""

from functools import partial

from flax import nnx

from mdepth_jax.models.encoders.inverted_residuals import InvertedResidualEncoder, Stage, Table

Swish = partial(Stage, activation=nnx.silu)


class MixNetS(InvertedResidualEncoder):
    """MixNet-S encoder. Skips have 16, 24, 40, 120, 200 channels."""

    table = Table(
        stem=16,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block, kernel sizes.
            Stage(1, 16, 1, 1, 3),
            Stage(6, 24, 1, 2, 3, groups=(2, 2)),
            Stage(3, 24, 1, 1, 3, groups=(2, 2)),
            Swish(6, 40, 1, 2, (3, 5, 7), squeeze=0.5),
            Swish(6, 40, 3, 1, (3, 5), squeeze=0.5, groups=(2, 2)),
            Swish(6, 80, 1, 2, (3, 5, 7), squeeze=0.25, groups=(1, 2)),
            Swish(6, 80, 2, 1, (3, 5), squeeze=0.25, groups=(1, 2)),
            Swish(6, 120, 1, 1, (3, 5, 7), squeeze=0.5, groups=(2, 2)),
            Swish(3, 120, 2, 1, (3, 5, 7, 9), squeeze=0.5, groups=(2, 2)),
            Swish(6, 200, 1, 2, (3, 5, 7, 9, 11), squeeze=0.5),
            Swish(6, 200, 2, 1, (3, 5, 7, 9), squeeze=0.5, groups=(1, 2)),
        ),
        head=1536,
    )


class MixNetM(InvertedResidualEncoder):
    """MixNet-M encoder. Skips have 24, 32, 40, 120, 200 channels."""

    table = Table(
        stem=24,
        stages=(
            # Expansion, output width, number of blocks, stride of the first block, kernel sizes.
            Stage(1, 24, 1, 1, 3),
            Stage(6, 32, 1, 2, (3, 5, 7), groups=(2, 2)),
            Stage(3, 32, 1, 1, 3, groups=(2, 2)),
            Swish(6, 40, 1, 2, (3, 5, 7, 9), squeeze=0.5),
            Swish(6, 40, 3, 1, (3, 5), squeeze=0.5, groups=(2, 2)),
            Swish(6, 80, 1, 2, (3, 5, 7), squeeze=0.25),
            Swish(6, 80, 3, 1, (3, 5, 7, 9), squeeze=0.25, groups=(2, 2)),
            Swish(6, 120, 1, 1, 3, squeeze=0.5),
            Swish(3, 120, 3, 1, (3, 5, 7, 9), squeeze=0.5, groups=(2, 2)),
            Swish(6, 200, 1, 2, (3, 5, 7, 9), squeeze=0.5),
            Swish(6, 200, 3, 1, (3, 5, 7, 9), squeeze=0.5, groups=(1, 2)),
        ),
        head=1536,
    )
