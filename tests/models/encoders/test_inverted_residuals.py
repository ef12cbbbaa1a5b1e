import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.models.blocks import FusedResidual, InvertedResidual
from mdepth_jax.models.encoders.inverted_residuals import InvertedResidualEncoder, Stage, Table
from mdepth_jax.models.layers import ConvNorm


class Small(InvertedResidualEncoder):
    table = Table(
        stem=8,
        stages=(
            Stage(1, 8, 1, 1, block="fused"),
            Stage(2, 16, 2, 2),
            Stage(2, 16, 1, 2, squeeze=0.25),
            Stage(2, 24, 1, 2),
            Stage(2, 32, 1, 2),
            Stage(1, 40, 1, 1, kernel=1, block="pointwise"),
        ),
        head=48,
    )


def build(width=1.0):
    return nnx.eval_shape(lambda: Small(width, rngs=nnx.Rngs(0)))


def test_skips_are_the_last_outputs_at_each_resolution():
    encoder = build()
    assert encoder.skips == (0, 2, 3, 4, 6)
    assert encoder.widths == (8, 16, 16, 24, 40, 48)
    assert build(2.0).widths == (16, 32, 32, 48, 80, 48)


def test_positions_count_the_rows_of_one_width_as_a_stage():
    assert list(build().positions()) == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (4, 0)]


def test_kinds_of_blocks():
    blocks = build().blocks
    assert [type(block) for block in blocks] == [FusedResidual, *[InvertedResidual] * 5, ConvNorm]
    assert [getattr(block, "squeeze_excite", None) is not None for block in blocks] == [False] * 3 + [True] + [
        False
    ] * 3
    assert blocks[3].squeeze_excite.reduce.out_channels == 4  # a quarter of the block's input


def test_padding_changes_features_but_no_shapes():
    image = jnp.asarray(np.random.default_rng(0).normal(size=(1, 32, 64, 3)), jnp.float32)
    run = nnx.jit(lambda encoder: encoder(image))
    same, symmetric = (run(Small(padding=padding, rngs=nnx.Rngs(0))) for padding in ("SAME", "symmetric"))
    for stride, a, b in zip((2, 4, 8, 16, 32, 32), same, symmetric, strict=True):
        assert a.shape[1:3] == b.shape[1:3] == (32 // stride, 64 // stride)
        assert not np.allclose(a, b)
