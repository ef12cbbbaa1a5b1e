"""From a network to the bytes of a `.tflite` file."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import jax2tf
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from mdepth_jax.data.reader_tensorflow import tf
from mdepth_jax.models import DepthNet
from mdepth_jax.models.layers import upsample_bilinear, upsample_bilinear_aligned
from mdepth_jax.tflite.folding import FoldedNet
from mdepth_jax.tflite.interpreter import INPUT, OUTPUT


def _doubled(x: tf.Tensor) -> tuple[int, int]:
    return 2 * x.shape[1], 2 * x.shape[2]


# What these functions of JAX become: their own programs would be a dozen operations that no delegate takes.
RESIZES: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    upsample_bilinear.__name__: lambda x: tf.image.resize(x, _doubled(x)),
    upsample_bilinear_aligned.__name__: lambda x: tf.compat.v1.image.resize_bilinear(
        x, _doubled(x), align_corners=True
    ),
}


def convert(model: DepthNet, height: int, width: int) -> bytes:
    net = FoldedNet(model)
    image = jax.ShapeDtypeStruct((1, height, width, 3), np.float32)
    program = jax.make_jaxpr(net)(image)
    module = tf.Module()
    module.predict = tf.function(
        lambda image: {OUTPUT: run_program(program, image)},
        autograph=False,
        input_signature=[tf.TensorSpec(image.shape, tf.float32, INPUT)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.predict.get_concrete_function()], module)
    return converter.convert()


def run_program(program: ClosedJaxpr, image: tf.Tensor) -> tf.Tensor:
    """Runs a program of JAX in TensorFlow: `RESIZES` as operations of its own, the rest by jax2tf."""
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.invars, [image], strict=True))
    equations: list[Any] = []
    for number, equation in enumerate(jaxpr.eqns):
        resize = RESIZES.get(equation.params.get("name", "")) if equation.primitive.name == "jit" else None
        if resize is None:
            equations.append(equation)
            continue
        later = jaxpr.eqns[number:]
        values |= _run(program, equations, values, {v for e in later for v in e.invars if not isinstance(v, Literal)})
        values[equation.outvars[0]] = resize(values[equation.invars[0]])
        equations = []
    values |= _run(program, equations, values, set(jaxpr.outvars))
    return values[jaxpr.outvars[0]]


def _run(program, equations, values, wanted):
    """Runs some of the equations of a program; gives those of their results that are wanted."""
    made = [variable for equation in equations for variable in equation.outvars]
    outs = [v for v in made if v in wanted]
    if not outs:
        return {}
    read = {v: None for e in equations for v in e.invars if not isinstance(v, Literal)}
    ins = [v for v in read if v in values]
    consts = {v: c for v, c in zip(program.jaxpr.constvars, program.consts, strict=True) if v in read}
    part = Jaxpr(list(consts), ins, outs, equations)
    run = jax2tf.convert(jaxpr_as_fun(ClosedJaxpr(part, list(consts.values()))), with_gradient=False)
    return dict(zip(outs, run(*(values[v] for v in ins)), strict=True))
