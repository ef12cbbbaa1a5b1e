import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.decoders import FBNetDecoder
from mdepth_jax.models.layers import BatchNorm
from mdepth_jax.tflite.folded_layers import ActivationLayer, ConvWeights
from mdepth_jax.tflite.folding import (
    FoldedNet,
    fold_layers,
    fold_scale_and_shift,
    merge_pointwise,
    scale_and_shift,
    split_skip_convolutions,
)
from tests.tflite.networks import draw, make_network, pointwise


def test_scale_and_shift_are_folded_into_a_convolution():
    x, kernel, bias, scale, shift = draw((5, 3), (1, 1, 3, 4), 4, 4, 4)
    conv = ConvWeights(kernel, bias)
    expected = scale * pointwise(x, conv) + shift
    np.testing.assert_allclose(pointwise(x, fold_scale_and_shift(conv, scale, shift)), expected, rtol=1e-12)


def test_scale_and_shift_equal_batch_normalization():
    norm = BatchNorm(6)
    norm.set_attributes(use_running_average=True, epsilon=1e-3)
    random = np.random.default_rng(0)
    for variable in (norm.scale, norm.bias, norm.mean, norm.var):
        variable[...] = jnp.asarray(random.uniform(0.5, 2, 6), jnp.float32)
    x = random.normal(size=(1, 2, 3, 6)).astype(np.float32)
    scale, shift = scale_and_shift(norm)
    np.testing.assert_allclose(norm(jnp.asarray(x)), scale * x + shift, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("skip_width", [0, 2])
def test_a_linear_convolution_is_merged_with_the_next_one(skip_width):
    x, skip, *arrays = draw((5, 3), (5, skip_width), (1, 1, 3, 4), 4, (1, 1, 4 + skip_width, 6), 6)
    first, second = ConvWeights(*arrays[:2]), ConvWeights(*arrays[2:])
    expected = pointwise(np.concatenate([pointwise(x, first), skip], -1), second)
    merged = pointwise(np.concatenate([x, skip], -1), merge_pointwise(first, second))
    np.testing.assert_allclose(merged, expected, rtol=1e-12, atol=1e-12)


def test_the_papers_decoder_convolves_features_and_skips_separately():
    decoder = FBNetDecoder((16, 24, 32, 96, 320, 1280), rngs=nnx.Rngs(0))
    fold_layers(decoder)
    skips = split_skip_convolutions(decoder, 1280)
    assert [layer.kernel.shape[2:] for layer in skips] == [
        (16, 1),
        (24, 32),
        (32, 48),
        (96, 64),
        (320, 192),
        (1280, 192),
    ]
    shapes = [block.depthwise.pointwise.kernel.shape[2:] for block in decoder.blocks]
    assert shapes == [(192, 64), (64, 48), (48, 32), (32, 1)]
    folded = *(block.project for block in decoder.blocks), decoder.predict
    assert all(isinstance(layer, ActivationLayer) and layer.activation is None for layer in folded)


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "mobilenet_v1", "last_layer": "block"},
        {"fusion": "add", "kernel": 3, "preprocessing": "torchvision"},
    ],
)
def test_a_folded_network_is_the_same_function(options):
    model = make_network(**options)
    before = jax.tree.map(np.asarray, nnx.state(model))
    folded = FoldedNet(model)
    image = jnp.asarray(np.random.default_rng(0).uniform(0, 255, (2, 32, 64, 3)), jnp.float32)
    expected = nnx.jit(lambda model: model(image).depth)(model)
    depth = nnx.jit(lambda model: model(image))(folded)
    np.testing.assert_allclose(depth, expected, rtol=0, atol=2e-5 * np.ptp(expected))
    assert not any(isinstance(part, BatchNorm) for _, part in nnx.iter_modules(folded))
    jax.tree.map(np.testing.assert_array_equal, before, jax.tree.map(np.asarray, nnx.state(model)))
