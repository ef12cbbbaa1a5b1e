import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.encoders.resnet import Bottleneck
from tests.models.encoders.golden_encoders import abstract_encoder


def test_width_is_one():
    assert abstract_encoder("resnet50").widths == (64, 256, 512, 1024, 2048, 2048)
    with pytest.raises(ValueError, match="width 1 only"):
        abstract_encoder("resnet50", width=0.5)


def test_bottleneck_is_the_rectified_sum_with_its_shortcut():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 4, 8)), jnp.float32)
    for block, shortcut in (
        (Bottleneck(8, 2, 1, "SAME", rngs=nnx.Rngs(0)), lambda block: x),
        (Bottleneck(8, 2, 2, "SAME", rngs=nnx.Rngs(0)), lambda block: block.shortcut(x)),
    ):
        block.eval()
        inner = block.expand(block.conv(block.reduce(x)))
        np.testing.assert_allclose(block(x), np.maximum(inner + shortcut(block), 0), rtol=1e-5, atol=1e-6)
