import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.models.decoders.outputs import predictor


def test_scale_multiplies_the_initial_kernel_alone():
    full, small = (predictor(4, 0.5, scale, rngs=nnx.Rngs(0)) for scale in (1.0, 0.25))
    np.testing.assert_array_equal(small.kernel[...], 0.25 * full.kernel[...])
    np.testing.assert_array_equal(small.bias[...], [0.5])
    np.testing.assert_allclose(predictor(4, 0.5, 0.0, rngs=nnx.Rngs(0))(jnp.ones((1, 2, 3, 4))), 0.5)
