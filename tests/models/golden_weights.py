"""The golden files' rule for weights: every tensor is drawn from a seed made of its name."""

import zlib

import jax.numpy as jnp
import numpy as np


def draw(name, shape, seed, gain):
    """A tensor in PyTorch's layout."""
    random = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    a = random.standard_normal(shape)
    if name.endswith("running_var"):
        a = 0.5 + np.abs(a)
    elif a.ndim == 4:
        a = gain * a / np.sqrt(np.prod(shape[1:]))
    else:
        a = 1 + 0.1 * a if name.endswith(".weight") else 0.1 * a
    return a.astype(np.float32)


def fill(variables, seed, gain, dtype=jnp.float32):
    """Gives every variable of a dictionary by name its golden value."""
    for name, variable in variables.items():
        is_kernel = len(variable.shape) == 4
        shape = tuple(variable.shape[axis] for axis in (3, 2, 0, 1)) if is_kernel else variable.shape
        tensor = draw(name, shape, seed, gain)
        variable.set_value(jnp.asarray((tensor.transpose(2, 3, 1, 0) if is_kernel else tensor).astype(dtype)))
