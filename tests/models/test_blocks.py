from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.blocks import BiasedHead, FusedResidual, InvertedResidual, SeparableConv, SqueezeExcite

NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}


@nnx.jit
def apply(layer, x):
    return layer(x)


def golden_block(case):
    in_channels, out_channels, _, kernel_size, stride = (int(v) for v in case["meta_i_o_e_k_s"])
    block = InvertedResidual(
        in_channels,
        len(case["p_dw_bn_bias"]),
        out_channels,
        kernel_size,
        stride=max(stride, 1),
        upsample=stride < 0,
        always_expand="p_pw_conv_weight" in case,
        padding="symmetric",
        param_dtype=jnp.float64,
        rngs=nnx.Rngs(0),
    )
    for name, layer in {"pw": block.expand, "dw": block.depthwise, "pwl": block.project}.items():
        if layer is None:
            continue
        layer.conv.kernel[...] = jnp.asarray(case[f"p_{name}_conv_weight"].transpose(2, 3, 1, 0))
        for key, attribute in NORM.items():
            getattr(layer.norm, attribute)[...] = jnp.asarray(case[f"p_{name}_bn_{key}"])
    return block


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def test_block_golden(golden, x64):
    for case in golden("inverted_residual"):
        block, x = golden_block(case), nhwc(case["x"])
        assert sum(p.size for p in jax.tree.leaves(nnx.state(block, nnx.Param))) == case["n_params"]
        block.eval()
        np.testing.assert_allclose(apply(block, x), nhwc(case["y_eval"]), rtol=1e-9, atol=1e-12)

        block.train()
        graph, state = nnx.split(block)

        @jax.jit
        @partial(jax.grad, has_aux=True)
        def run(x, graph=graph, state=state):
            y = nnx.merge(graph, state, copy=True)(x)
            weights = jnp.cos(jnp.arange(y.size, dtype=y.dtype))
            return (y.transpose(0, 3, 1, 2).ravel() * weights).sum(), y

        gradient, y = run(x)
        np.testing.assert_allclose(y, nhwc(case["y_train"]), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(gradient, nhwc(case["grad_x_train"]), rtol=1e-9, atol=1e-11)


def test_implementations_agree(x64):
    block = InvertedResidual(6, 12, 6, 5, upsample=True, param_dtype=jnp.float64, rngs=nnx.Rngs(1))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 5, 6)))
    shifted = apply(block, x)
    block.set_attributes(implementation="lax")
    np.testing.assert_allclose(shifted, apply(block, x), rtol=1e-12, atol=1e-12)


def test_squeeze_excite_against_numpy():
    layer = SqueezeExcite(6, 2, nnx.relu, nnx.sigmoid, rngs=nnx.Rngs(0))
    layer.reduce.bias[...] = jnp.asarray([0.5, -0.25])
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    squeezed = np.maximum(x.mean((1, 2)) @ np.asarray(layer.reduce.kernel[0, 0]) + [0.5, -0.25], 0)
    gate = 1 / (1 + np.exp(-squeezed @ np.asarray(layer.expand.kernel[0, 0])))
    np.testing.assert_allclose(layer(jnp.asarray(x)), x * gate[:, None, None], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [InvertedResidual, FusedResidual])
def test_the_input_is_added_where_width_and_size_stay(make):
    assert make(4, 8, 4, rngs=nnx.Rngs(0)).residual
    assert not make(4, 8, 6, rngs=nnx.Rngs(0)).residual
    assert not make(4, 8, 4, stride=2, rngs=nnx.Rngs(0)).residual


def test_fused_residual_is_its_two_convolutions_and_the_input():
    block = FusedResidual(4, 8, 4, rngs=nnx.Rngs(0))
    block.eval()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 5, 4)), jnp.float32)
    np.testing.assert_allclose(block(x), x + block.project(block.expand(x)), rtol=1e-5, atol=1e-6)
    assert block.expand.conv.kernel.shape == (3, 3, 4, 8)


def test_biased_head_has_no_normalization():
    head = BiasedHead(3, 2, nnx.relu, rngs=nnx.Rngs(0))
    head.conv.bias[...] = jnp.asarray([100.0, -100.0])
    y = head(jnp.ones((1, 2, 2, 3)))
    assert (y[..., 0] > 90).all()
    assert (y[..., 1] == 0).all()


@pytest.mark.parametrize(("options", "size"), [({}, (4, 6)), ({"stride": 2}, (2, 3)), ({"upsample": True}, (8, 12))])
def test_separable_conv_changes_size_and_width(options, size):
    block = SeparableConv(3, 5, rngs=nnx.Rngs(0), **options)
    assert nnx.eval_shape(lambda block: block(jnp.zeros((1, 4, 6, 3))), block).shape == (1, *size, 5)
