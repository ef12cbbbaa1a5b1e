"""Number of parameters, multiply-adds and receptive field of a network, from its structure alone."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import Literal

# Receptive field, and distance of neighbors, in pixels of the image.
ONE_PIXEL = 1, 1


def count_parameters(model: Any) -> int:
    """Counts the trainable scalars of a module, or of the `nnx.Param` state split from one."""
    state = nnx.state(model, nnx.Param) if isinstance(model, nnx.Module) else model
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state))


def count_macs(model: nnx.Module, height: int, width: int) -> int:
    """Counts the multiply-adds of all convolutions for one image in evaluation mode.

    Args:
        model: Network of images `[batch, height, width, 3]`; may be abstract, see `nnx.eval_shape`.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    return count_macs_of(model, jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32))


def count_macs_of(module: nnx.Module, inputs: Any) -> int:
    """Counts the multiply-adds of any module.

    Args:
        module: Module; may be abstract, see `nnx.eval_shape`.
        inputs: Its one argument, arrays or their shapes.
    """
    total = 0
    for equation in _equations(trace_program(module, inputs)):
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out_axis = equation.params["dimension_numbers"].rhs_spec[0]
            total += equation.outvars[0].aval.size * int(np.prod(kernel)) // kernel[out_axis]
    return total


def receptive_field(encoder: nnx.Module) -> int:
    """Computes the receptive field of one pixel of an encoder's last feature: its side in pixels of the image.

    The global averages of squeeze-excite layers are left out.

    Args:
        encoder: Encoder of images `[batch, height, width, 3]`; may be abstract, see `nnx.eval_shape`.
    """
    jaxpr = trace_program(encoder, jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32))
    field, _ = _fields(jaxpr, [ONE_PIXEL] * len(jaxpr.invars))[-1]
    return field


def trace_program(module: nnx.Module, inputs: Any) -> Any:
    """Traces the program of a module in evaluation mode, with XLA's convolutions.

    Args:
        module: Module; may be abstract, see `nnx.eval_shape`.
        inputs: Its one argument, arrays or their shapes.

    Returns:
        A jaxpr. Its inputs are the module's variables in the order of `nnx.state(module).flat_state()`, then `inputs`;
        its outputs are the leaves of the module's output.
    """
    module = nnx.clone(module)
    module.eval()
    module.set_attributes(implementation="lax")
    graph, variables = nnx.split(module)
    return jax.make_jaxpr(lambda v, x: jax.tree.leaves(nnx.merge(graph, v)(x)))(variables, inputs).jaxpr


def inner_programs(equation: Any) -> list[Any]:
    """Returns the programs that an equation of a program calls."""
    leaves = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns"))
    return [getattr(leaf, "jaxpr", leaf) for leaf in leaves if hasattr(leaf, "eqns")]


def _equations(jaxpr) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in inner_programs(equation):
            yield from _equations(inner)


def _fields(jaxpr, inputs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Computes the receptive field and the distance of neighbors of every output of a program."""
    known = dict(zip(jaxpr.invars, inputs, strict=True))

    def read(variable):
        return ONE_PIXEL if isinstance(variable, Literal) else known.get(variable, ONE_PIXEL)

    for equation in jaxpr.eqns:
        arguments = [read(variable) for variable in equation.invars]
        field, step = max(arguments, default=ONE_PIXEL)
        size, stride = _window(equation)
        outputs = [(field + (size - 1) * step, step * stride)] * len(equation.outvars)
        for inner in inner_programs(equation):
            if len(inner.invars) == len(arguments):
                outputs = _fields(inner, arguments)
        known |= zip(equation.outvars, outputs, strict=True)
    return [read(variable) for variable in jaxpr.outvars]


def _window(equation) -> tuple[int, int]:
    """Returns the size and stride along the height of the window that one output pixel reads."""
    match equation.primitive.name:
        case "conv_general_dilated":
            row = equation.params["dimension_numbers"].rhs_spec[2]
            return equation.invars[1].aval.shape[row], equation.params["window_strides"][0]
        case "reduce_window_max":
            return equation.params["window_dimensions"][1], equation.params["window_strides"][1]
    return 1, 1
