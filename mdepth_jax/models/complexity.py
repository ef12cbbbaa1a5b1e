"""Size and cost of a network, as the paper's tables count them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def count_parameters(model: Any) -> int:
    """Number of trainable scalars of a module, or of the `nnx.Param` state split from one."""
    state = nnx.state(model, nnx.Param) if isinstance(model, nnx.Module) else model
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state))


def count_macs(model: nnx.Module, height: int, width: int) -> int:
    """Multiply-adds of all convolutions for one image in evaluation mode.

    Args:
        model: Takes images `[batch, height, width, 3]`.
        height: Of the image in pixels.
        width: Of the image in pixels.
    """
    model = nnx.clone(model)
    model.eval()
    model.set_attributes(implementation="lax")
    image = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    return _conv_macs(jax.make_jaxpr(lambda x: jax.tree.leaves(model(x)))(image).jaxpr)


def _conv_macs(jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out_axis = equation.params["dimension_numbers"].rhs_spec[0]
            total += equation.outvars[0].aval.size * int(np.prod(kernel)) // kernel[out_axis]
        inner = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "jaxpr"))
        total += sum(_conv_macs(leaf.jaxpr) for leaf in inner if hasattr(leaf, "jaxpr"))
    return total
