"""Conversion of a network to the content of a `.tflite` file."""

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
from mdepth_jax.tflite import int8
from mdepth_jax.tflite.flatbuffer import count_operators, quantize_to_float16
from mdepth_jax.tflite.folding import FoldedNet
from mdepth_jax.tflite.interpreter import INPUT, OUTPUT, ignore_deprecation
from mdepth_jax.tflite.quantization import FLOAT16_MIN_ELEMENTS, Quantization

# Operators that the delegates of phones run; but PADV2, before the pooling of a ResNet with symmetric padding, splits a
# graph into two partitions.
OPERATORS = frozenset(
    {"ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "HARD_SWISH", "LOGISTIC", "MAX_POOL_2D",
     "MEAN", "MUL", "PAD", "PADV2", "QUANTIZE", "RESHAPE", "RESIZE_BILINEAR", "SLICE", "SUB"}
)  # fmt: skip


def _double_size(x: tf.Tensor) -> tuple[int, int]:
    return 2 * x.shape[1], 2 * x.shape[2]


# Functions of `models.layers`, found by name in a network's jaxpr, that are one operator of TFLite. jax2tf would lower
# each to up to a dozen operators, which no delegate runs.
LOWERINGS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "global_mean": lambda x: tf.reduce_mean(x, (1, 2), keepdims=True),
    "upsample_bilinear": lambda x: tf.image.resize(x, _double_size(x)),
    "upsample_bilinear_aligned": lambda x: tf.raw_ops.ResizeBilinear(
        images=x, size=_double_size(x), align_corners=True
    ),
}


def convert(
    model: DepthNet,
    height: int,
    width: int,
    quantize: Quantization = "none",
    images: Iterable[UInt8[np.ndarray, "height width 3"]] = (),
    *,
    integer_io: bool = False,
    operators_for: Quantization | None = None,
) -> bytes:
    """Converts a network to a `.tflite` file.

    The input `image` is `[1, height, width, 3]`, RGB, 0 to 255, float32; the output `depth` is `[1, height, width, 1]`,
    relative depth, larger = farther, float32. The scaling of the image is part of the graph.

    Args:
        model: Network, which stays as it is.
        height: Height of the image, a multiple of 32.
        width: Width of the image, a multiple of 32.
        quantize: Kind of quantization.
        images: Calibration images for int8.
        integer_io: Whether, with int8, input and output are uint8; the file holds scale and zero point of the output.
        operators_for: Kind of quantization whose operators the file has, `quantize` by default; a float32 file with the
            operators of an int8 one is a reference for `quantization.report_layers`.

    Returns:
        The content of the file.

    Raises:
        UserError: If the size is no multiple of 32, or the file would hold operators that are not among `OPERATORS`.
    """
    check_size(height, width)
    with silent_stderr(), ignore_deprecation():
        network = FoldedNet(model, int8=(operators_for or quantize) == "int8")
        converter = create_converter(network, height, width)
        if quantize == "dynamic":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content = bytes(converter.convert())
        if quantize == "int8":
            content = int8.quantize(content, images, integer_io=integer_io)
    if quantize == "float16":
        content = quantize_to_float16(content, FLOAT16_MIN_ELEMENTS)
    unsupported = count_operators(content).keys() - OPERATORS
    if unsupported:
        raise UserError(
            f"the file would hold {', '.join(sorted(unsupported))}, which delegates of phones do not run;"
            " install the versions of jax and tensorflow that pyproject.toml names"
        )
    return content


def check_size(height: int, width: int) -> None:
    """Checks that the network takes images of a size without padding.

    Raises:
        UserError: If a side is not a positive multiple of 32.
    """
    for name, size in (("height", height), ("width", width)):
        if size <= 0 or size % STRIDE:
            low = max(size // STRIDE, 1) * STRIDE
            raise UserError(f"`{name}` is {size}; it must be a multiple of {STRIDE}, such as {low} or {low + STRIDE}")


def create_converter(network: FoldedNet, height: int, width: int) -> tf.lite.TFLiteConverter:
    """Creates TensorFlow's converter for a network, traced for one image of a size."""
    image = jax.ShapeDtypeStruct((1, height, width, 3), np.float32)
    program = jax.make_jaxpr(network)(image)
    module = tf.Module()
    module.predict = tf.function(
        lambda image: {OUTPUT: evaluate_jaxpr(program, image)},
        autograph=False,
        input_signature=[tf.TensorSpec(image.shape, tf.float32, INPUT)],
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([module.predict.get_concrete_function()], module)


def evaluate_jaxpr(program: ClosedJaxpr, image: tf.Tensor) -> tf.Tensor:
    """Evaluates a jaxpr in TensorFlow: functions of `LOWERINGS` by those, everything else by jax2tf.

    Args:
        program: Jaxpr with one input and one output.
        image: Value of the input.
    """
    equations = program.jaxpr.eqns
    values: dict[Any, tf.Tensor] = {program.jaxpr.invars[0]: image}
    start = 0
    for place, equation in enumerate(equations):
        lowering = LOWERINGS.get(equation.params.get("name", ""))
        if lowering:
            values |= _evaluate_equations(program, start, place, values)
            values[equation.outvars[0]] = lowering(values[equation.invars[0]])
            start = place + 1
    values |= _evaluate_equations(program, start, len(equations), values)
    return values[program.jaxpr.outvars[0]]


def _evaluate_equations(
    program: ClosedJaxpr, start: int, stop: int, values: dict[Any, tf.Tensor]
) -> dict[Any, tf.Tensor]:
    """Evaluates the equations from `start` to `stop` by jax2tf; returns their results that are read later."""
    jaxpr = program.jaxpr
    equations = jaxpr.eqns[start:stop]
    used, used_later = _inputs_of(equations), {*_inputs_of(jaxpr.eqns[stop:]), *jaxpr.outvars}
    arguments = [variable for variable in used if variable in values]
    constants = {
        variable: value for variable, value in zip(jaxpr.constvars, program.consts, strict=True) if variable in used
    }
    results = [variable for equation in equations for variable in equation.outvars if variable in used_later]
    if not results:
        return {}
    part = jaxpr.replace(constvars=[*constants], invars=arguments, outvars=results, eqns=equations)
    run = jax2tf.convert(jaxpr_as_fun(ClosedJaxpr(part, [*constants.values()])), with_gradient=False)
    return dict(zip(results, run(*(values[variable] for variable in arguments)), strict=True))


def _inputs_of(equations: Iterable[Any]) -> dict[Any, None]:
    """Collects the variables that equations read, in order."""
    return {v: None for equation in equations for v in equation.invars if not isinstance(v, Literal)}
