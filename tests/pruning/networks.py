"""Small networks to prune."""

from flax import nnx

from mdepth_jax.models.layers import Conv
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
