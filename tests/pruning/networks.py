"""Small networks to prune."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from mdepth_jax.models.layers import Conv
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.pruning.channels import find_structure


class Chain(nnx.Module):
    """Convolutions 3 -> 32 -> 16 -> 1 without bias."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([Conv(3, 32, 3, 2, rngs=rngs), Conv(32, 16, rngs=rngs), Conv(16, 1, rngs=rngs)])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def find_chain_structure():
    """Finds the structure of a `Chain` for images of 8x12, without computing anything."""
    return find_structure(nnx.eval_shape(Chain), 8, 12)


def build_random(build):
    """Builds a network with random values, which NumPy draws: JAX would compile a program for every shape.

    Kernels keep the scale of their input; statistics, scales and offsets of normalizations are arbitrary.
    """
    model, rng = nnx.eval_shape(build), np.random.default_rng(0)
    for name, variable in named_tensors(model).items():
        if "norm" in name:
            value = rng.uniform(0.5, 1.5, variable.shape)
        else:
            value = rng.normal(size=variable.shape) / np.sqrt(np.prod(variable.shape[:-1]))
        variable.set_value(jnp.asarray(value, variable.dtype))
    return model
