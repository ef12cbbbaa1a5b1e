import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.models.decoders.redweb import FeatureFusion, ResidualConv
from mdepth_jax.models.pretrained.naming import named_variables
from mdepth_jax.models.pretrained.youtube3d import feature_fusion, residual_conv


@nnx.jit
def apply(module, *inputs):
    return module(*inputs)


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def fill(case, block, named_layers):
    for name, variable in named_variables(named_layers(block, "p")).items():
        tensor = case[name.replace(".", "_")]
        assert variable.ndim == tensor.ndim
        variable[...] = jnp.asarray(tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor)
    block.eval()


def test_blocks_golden(golden, x64):
    residual, fusion, _ = golden("teacher_encdecresnet")
    options = {"param_dtype": jnp.float64, "rngs": nnx.Rngs(0)}
    block = ResidualConv(6, **options)
    fill(residual, block, residual_conv)
    np.testing.assert_allclose(apply(block, nhwc(residual["x"])), nhwc(residual["y"]), rtol=1e-9, atol=1e-12)
    block = FeatureFusion(5, 7, 6, **options)
    fill(fusion, block, feature_fusion)
    y = apply(block, nhwc(fusion["left"]), nhwc(fusion["up"]))
    np.testing.assert_allclose(y, nhwc(fusion["y"]), rtol=1e-9, atol=1e-12)
