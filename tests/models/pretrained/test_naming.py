import pytest
from flax import nnx

from mdepth_jax.models.blocks import BiasedHead, FusedResidual, InvertedResidual, SqueezeExcite
from mdepth_jax.models.layers import Conv, ConvNorm, depthwise_conv_layer
from mdepth_jax.models.pretrained.naming import Endings, block_parts, name_layers, named_variables


@pytest.fixture
def options():
    return {"rngs": nnx.Rngs(0)}


def test_convolution_and_normalization(options):
    part = ConvNorm(Conv(3, 4, **options))
    named = named_variables(name_layers(part, "conv", "bn"))
    assert named == {
        "conv.weight": part.conv.kernel,
        "bn.weight": part.norm.scale,
        "bn.bias": part.norm.bias,
        "bn.running_mean": part.norm.mean,
        "bn.running_var": part.norm.var,
    }


def test_parts_of_a_mixed_convolution_are_numbered(options):
    part = ConvNorm(depthwise_conv_layer(8, (3, 5), **options))
    assert [name for name, _ in name_layers(part, "conv", "bn")] == ["conv.0", "conv.1", "bn"]


def test_layers_without_normalization(options):
    squeeze = SqueezeExcite(8, 2, nnx.relu, nnx.sigmoid, **options)
    assert dict(name_layers(squeeze, "a", "b")) == {"a": squeeze.reduce, "b": squeeze.expand}
    head = BiasedHead(3, 4, nnx.relu, **options)
    endings = Endings(conv={"/kernel": "kernel", "/bias": "bias"}, norm={})
    assert named_variables(name_layers(head, "a"), endings) == {"a/kernel": head.conv.kernel, "a/bias": head.conv.bias}


def test_parts_of_blocks(options):
    assert list(block_parts(InvertedResidual(4, 8, 4, **options))) == ["expand", "depthwise", "project"]
    assert list(block_parts(InvertedResidual(4, 4, 4, **options))) == ["depthwise", "project"]
    assert list(block_parts(FusedResidual(4, 8, 4, **options))) == ["expand", "project"]
