import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.layers import DepthwiseConv
from mdepth_jax.tflite.folded_layers import ConvWeights, UpsamplingConv, split_hard_swish, split_rows
from tests.tflite.networks import convolve, draw


@pytest.mark.parametrize("size", [3, 5])
def test_rows_equal_up_sampling_and_one_large_kernel(size):
    x, kernel = draw((3, 4, 2), (size, size, 1, 2))
    expected = convolve(x.repeat(2, 0).repeat(2, 1), kernel)
    for a, row in enumerate(split_rows(kernel)):
        assert row.shape == (3, 3, 1, 4)
        columns = np.split(convolve(np.concatenate([x, x], -1), row), 2, axis=-1)
        for b, column in enumerate(columns):
            np.testing.assert_allclose(column, expected[a::2, b::2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [1, 4])
def test_rows_are_interleaved(width):
    x, kernel, bias = draw((2, 3, width, 2), (5, 5, 1, 2), 2)
    original = DepthwiseConv(2, 5, upsample=True, rngs=nnx.Rngs(0))
    layer = UpsamplingConv(ConvWeights(kernel, bias), original, nnx.relu, "")
    expected = [np.maximum(convolve(image.repeat(2, 0).repeat(2, 1), kernel) + bias, 0) for image in x]
    np.testing.assert_allclose(layer(jnp.asarray(x, jnp.float32)), expected, rtol=1e-5, atol=1e-5)


def test_hard_swish_in_parts():
    x = jnp.linspace(-5, 5, 101, dtype=jnp.float32)
    np.testing.assert_allclose(split_hard_swish(x), nnx.hard_swish(x), rtol=1e-6, atol=1e-7)
