"""From a network to the content of a `.tflite` file."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.experimental import jax2tf
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jaxtyping import UInt8

from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthNet
from mdepth_jax.models.depth_net import STRIDE
from mdepth_jax.tensorflow_cpu import silent_stderr, tf
from mdepth_jax.tflite import integers, quantization
from mdepth_jax.tflite.flatbuffer import count_operators, store_in_float16
from mdepth_jax.tflite.folding import FoldedNet
from mdepth_jax.tflite.interpreter import INPUT, OUTPUT, unannounced

# What the delegates of phones take; PADV2, before the pooling of ResNet with symmetric padding, runs between two parts.
OPERATORS = frozenset(
    {"ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "HARD_SWISH", "LOGISTIC", "MAX_POOL_2D",
     "MEAN", "MUL", "PAD", "PADV2", "QUANTIZE", "RESHAPE", "RESIZE_BILINEAR", "SLICE", "SUB"}
)  # fmt: skip


def _doubled(x: tf.Tensor) -> tuple[int, int]:
    return 2 * x.shape[1], 2 * x.shape[2]


# Functions of `models.layers`, found by name in the program of a network, that are one operation of TFLite. What jax2tf
# makes of them is up to a dozen, which no delegate takes.
COUNTERPARTS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "global_mean": lambda x: tf.reduce_mean(x, (1, 2), keepdims=True),
    "upsample_bilinear": lambda x: tf.image.resize(x, _doubled(x)),
    "upsample_bilinear_aligned": lambda x: tf.raw_ops.ResizeBilinear(images=x, size=_doubled(x), align_corners=True),
}


def convert(
    model: DepthNet,
    height: int,
    width: int,
    kind: quantization.Kind = "none",
    images: Iterable[UInt8[np.ndarray, "height width 3"]] = (),
    *,
    integer_io: bool = False,
    comparable: quantization.Kind | None = None,
) -> bytes:
    """Converts a network.

    The input `image` is `[1, height, width, 3]`, RGB, 0 to 255, float32; the output `depth` is `[1, height, width, 1]`,
    relative depth, larger is farther, float32. The scaling of the image is inside.

    Args:
        model: The network; it stays as it is.
        height: Of the image; a multiple of 32.
        width: Of the image; a multiple of 32.
        kind: See `quantization.Kind`.
        images: To calibrate int8 with.
        integer_io: With int8: input and output are uint8; the file says what the integers of the output mean.
        comparable: The kind whose operations the file shall have, by default its own; see
            `quantization.report_layers`.

    Raises:
        UserError: Another size, or the converter made operations that are not among `OPERATORS`.
    """
    check_size(height, width)
    with silent_stderr(), unannounced():
        network = FoldedNet(model, integers=(comparable or kind) == "int8")
        converter = make_converter(network, height, width)
        if kind == "dynamic":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = bytes(converter.convert())
        if kind == "int8":
            content = integers.quantize(content, images, integer_io=integer_io)
    if kind == "float16":
        content = store_in_float16(content, quantization.FLOAT16_ELEMENTS)
    strange = count_operators(content).keys() - OPERATORS
    if strange:
        raise UserError(
            f"the file would hold {', '.join(sorted(strange))}, which delegates of phones do not take;"
            " install the versions of jax and tensorflow that pyproject.toml names"
        )
    return content


def check_size(height: int, width: int) -> None:
    """Raises UserError for a size that the network would have to pad."""
    for name, size in (("height", height), ("width", width)):
        if size <= 0 or size % STRIDE:
            low = max(size // STRIDE, 1) * STRIDE
            raise UserError(f"--{name} {size}: must be a multiple of {STRIDE}, such as {low} or {low + STRIDE}")


def make_converter(network: FoldedNet, height: int, width: int) -> tf.lite.TFLiteConverter:
    """Traces a network for images of one size."""
    image = jax.ShapeDtypeStruct((1, height, width, 3), np.float32)
    program = jax.make_jaxpr(network)(image)
    module = tf.Module()
    module.predict = tf.function(
        lambda image: {OUTPUT: run_program(program, image)},
        autograph=False,
        input_signature=[tf.TensorSpec(image.shape, tf.float32, INPUT)],
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([module.predict.get_concrete_function()], module)


def run_program(program: ClosedJaxpr, image: tf.Tensor) -> tf.Tensor:
    """Runs a program of JAX in TensorFlow: what has a counterpart by that, all else by jax2tf."""
    equations = program.jaxpr.eqns
    values: dict[Any, tf.Tensor] = {program.jaxpr.invars[0]: image}
    start = 0
    for place, equation in enumerate(equations):
        counterpart = COUNTERPARTS.get(equation.params.get("name", ""))
        if counterpart:
            values |= _run_part(program, start, place, values)
            values[equation.outvars[0]] = counterpart(values[equation.invars[0]])
            start = place + 1
    values |= _run_part(program, start, len(equations), values)
    return values[program.jaxpr.outvars[0]]


def _run_part(program: ClosedJaxpr, start: int, stop: int, values: dict[Any, tf.Tensor]) -> dict[Any, tf.Tensor]:
    """Runs the equations from `start` to `stop`; gives those of their results that are read later."""
    jaxpr = program.jaxpr
    equations = jaxpr.eqns[start:stop]
    read, later = _read(equations), {*_read(jaxpr.eqns[stop:]), *jaxpr.outvars}
    arguments = [variable for variable in read if variable in values]
    constants = {
        variable: value for variable, value in zip(jaxpr.constvars, program.consts, strict=True) if variable in read
    }
    results = [variable for equation in equations for variable in equation.outvars if variable in later]
    if not results:
        return {}
    part = jaxpr.replace(constvars=[*constants], invars=arguments, outvars=results, eqns=equations)
    run = jax2tf.convert(jaxpr_as_fun(ClosedJaxpr(part, [*constants.values()])), with_gradient=False)
    return dict(zip(results, run(*(values[variable] for variable in arguments)), strict=True))


def _read(equations: Iterable[Any]) -> dict[Any, None]:
    """The variables that equations read, in order."""
    return {v: None for equation in equations for v in equation.invars if not isinstance(v, Literal)}
