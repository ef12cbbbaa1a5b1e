import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models.layers import Conv, ConvNorm, DepthwiseConv
from mdepth_jax.models.widths import describe, narrow


class Small(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = ConvNorm(Conv(3, 8, rngs=rngs), nnx.relu)
        self.second = ConvNorm(DepthwiseConv(8, 3, rngs=rngs))
        self.last = Conv(8, 4, bias=0.5, rngs=rngs)

    def __call__(self, x):
        return self.last(self.second(self.first(x)))


NARROW = ("first.conv 3 5", "second.conv 5 5", "last 5 2")


def test_round_trip():
    model = Small()
    kernels = [np.asarray(layer.kernel[...]) for layer in (model.first.conv, model.second.conv, model.last)]
    assert set(describe(model)) == {"first.conv 3 8", "second.conv 8 8", "last 8 4"}
    narrow(model, NARROW)
    assert set(describe(model)) == set(NARROW)
    np.testing.assert_array_equal(model.first.conv.kernel[...], kernels[0][..., :5])
    np.testing.assert_array_equal(model.second.conv.kernel[...], kernels[1][..., :5])
    np.testing.assert_array_equal(model.last.kernel[...], kernels[2][:, :, :5, :2])
    assert model.first.norm.scale.shape == model.second.norm.var.shape == (5,)
    assert model.last.bias.shape == (2,)
    assert model(jnp.zeros((1, 4, 4, 3))).shape == (1, 4, 4, 2)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("first 3 5", "the network has no convolution 'first'"),
        ("last 9 4", "'last 9 4' does not fit into the 8 x 4 channels"),
        ("last 0 4", "does not fit"),
        ("last 8", "is not of the form 'path input output'"),
        ("last 8 four", "is not of the form"),
        ("", "is not of the form"),
    ],
)
def test_mistakes(entry, message):
    with pytest.raises(UserError, match=message):
        narrow(Small(), (entry,))
