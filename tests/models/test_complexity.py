import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from mdepth_jax.models import build_model, count_macs, count_parameters, default_config
from mdepth_jax.models.complexity import count_macs_of, receptive_field
from mdepth_jax.models.layers import Conv, ConvNorm, DepthwiseConv, max_pool


class Small(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = ConvNorm(Conv(3, 8, 3, 2, rngs=rngs), nnx.relu)
        self.second = DepthwiseConv(8, 5, rngs=rngs)
        self.last = Conv(8, 4, bias=0.0, rngs=rngs)

    def __call__(self, image):
        return self.last(self.second(max_pool(self.first(image), "SAME")))


def test_parameters_without_statistics():
    assert count_parameters(Small()) == 3 * 3 * 3 * 8 + 2 * 8 + 5 * 5 * 8 + (8 * 4 + 4)


def test_multiply_adds_of_convolutions():
    """At 16 x 32 pixels the first convolution has 8 x 16 outputs, the others, after pooling, 4 x 8."""
    macs = 8 * 16 * (3 * 3 * 3 * 8) + 4 * 8 * (5 * 5 * 8 + 8 * 4)
    assert count_macs(Small(), 16, 32) == macs
    abstract = nnx.eval_shape(Small)
    assert count_macs_of(abstract, jax.ShapeDtypeStruct((1, 16, 32, 3), jnp.float32)) == macs


def test_receptive_field_follows_kernels_and_strides():
    """3 pixels; 2 more of the pooling, at distance 2; 4 more of the depthwise kernel, at distance 4."""
    assert receptive_field(Small()) == 3 + 2 * 2 + 4 * 4


@pytest.mark.parametrize(("size", "expected"), [((224, 224), 0.356), ((224, 448), 0.712), ((256, 256), 0.465)])
def test_multiply_adds_of_the_paper(size, expected):
    model = nnx.eval_shape(lambda: build_model(default_config(), rngs=nnx.Rngs(0)))
    assert round(count_macs(model, *size) / 1e9, 3) == expected
