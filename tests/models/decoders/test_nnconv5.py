import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models import count_parameters
from mdepth_jax.models.blocks import SeparableConv
from mdepth_jax.models.decoders import NNConv5Decoder
from mdepth_jax.models.depthwise import upsample_nearest
from mdepth_jax.models.pretrained.naming import named_variables


@nnx.jit
def apply(module, x):
    return module(x)


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def test_nnconv5_layer_golden(golden, x64):
    for case in golden("decoder_nnconv5")[:2]:
        outputs, inputs = case["p_1_0_weight"].shape[:2]
        layer = SeparableConv(inputs, outputs, 5, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        parts = {"0_0": layer.depthwise.conv, "0_1": layer.depthwise.norm}
        parts |= {"1_0": layer.pointwise.conv, "1_1": layer.pointwise.norm}
        for name, variable in named_variables(parts.items()).items():
            tensor = case[f"p_{name.replace('.', '_')}"]
            variable[...] = jnp.asarray(tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor)
        assert count_parameters(layer) == case["n_params"]
        layer.eval()
        y = upsample_nearest(apply(layer, nhwc(case["x"])))
        np.testing.assert_allclose(y, nhwc(case["y"]), rtol=1e-9, atol=1e-12)


def test_nnconv5_parameter_count_golden(golden):
    case = golden("decoder_nnconv5")[3]
    decoder = nnx.eval_shape(lambda: NNConv5Decoder((8, 1024), rngs=nnx.Rngs(0)))
    # Ours ends with a bias, the original with a normalization.
    assert count_parameters(decoder) - 1 + 2 == case["nnconv5_dw_1024"]


def test_nnconv5_equals_layers_one_after_another():
    """Upsampled inputs instead of upsampling convolutions, and the prediction at full resolution."""
    decoder = NNConv5Decoder((4, 16), output_bias=0.5, rngs=nnx.Rngs(0))
    decoder.eval()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 2, 3, 16)), jnp.float32)
    outputs = apply(decoder, (x, x))
    assert outputs.auxiliary == ()
    assert outputs.features.shape == (2, 32, 48, 32)

    for block in decoder.blocks:
        block.depthwise.conv.upsample = False
        x = apply(block, x).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(outputs.depth, apply(decoder.predict, x), rtol=1e-4, atol=1e-5)
    assert outputs.depth.shape == (2, 64, 96, 1)
    assert outputs.depth.std() > 0


@pytest.mark.parametrize("bias", [-3.0, 3.0])
def test_nnconv5_is_linear_at_its_end(bias):
    decoder = NNConv5Decoder((4, 16), output_bias=bias, output_scale=0.0, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(apply(decoder, (jnp.ones((1, 1, 1, 16)),)).depth, jnp.full((1, 32, 32, 1), bias))
