import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.decoders.fbnet import FBNetDecoder, fuse

MOBILENET_V2 = (16, 24, 32, 96, 320, 1280)


def build(**options):
    return nnx.eval_shape(lambda: FBNetDecoder(MOBILENET_V2, rngs=nnx.Rngs(0), **options))


def widths(blocks):
    return [(b.expand.conv.in_channels, b.expand.conv.out_channels, b.project.conv.out_channels) for b in blocks]


def test_widths_of_the_paper():
    decoder = build(heads=2)
    assert widths(decoder.blocks) == [(1600, 192, 96), (192, 64, 32), (64, 48, 24), (48, 32, 16)]
    assert decoder.predict.in_channels == 32
    assert [widths(head.blocks) for head in decoder.heads] == [[(64, 48, 24), (24, 32, 16)], [(48, 32, 16)]]
    assert decoder.last is None


def test_addition_leaves_out_the_deepest_skip():
    decoder = build(fusion="add", last_layer="block")
    assert widths(decoder.blocks) == [(1280, 192, 96), (96, 64, 32), (32, 48, 24), (24, 32, 16)]
    assert decoder.fusions[0] is None
    assert widths([decoder.last]) == [(16, 32, 16)]


@pytest.mark.parametrize(("fusion", "expected"), [("concat", [1, 2, 10, 20]), ("add", [11, 22]), (None, [1, 2])])
def test_fuse(fusion, expected):
    x, skip = jnp.float32([1, 2]).reshape(1, 1, 1, 2), jnp.float32([10, 20]).reshape(1, 1, 1, 2)
    np.testing.assert_array_equal(fuse(x, skip, fusion).ravel(), expected)
