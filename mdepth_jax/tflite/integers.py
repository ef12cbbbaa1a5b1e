"""Full int8: scales from the ranges that a network takes on images, and biases that make up for rounded kernels."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from mdepth_jax.errors import UserError
from mdepth_jax.models.depthwise import pad_widths
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite import flatbuffer
from mdepth_jax.tflite.recorder import Recorder

LARGEST = 127  # of the integers of a kernel, which are symmetric
CONVOLUTIONS = schema.Conv2DOptionsT, schema.DepthwiseConv2DOptionsT
Kernel = Float[np.ndarray, "_ rows columns _"]


class Observed(NamedTuple):
    """What a tensor of a network holds on some images.

    Attributes:
        low: The smallest value.
        high: The largest.
        mean: Over the images.
    """

    low: float
    high: float
    mean: Float[np.ndarray, "height width channels"]


def quantize(content: bytes, images: Iterable[UInt8[np.ndarray, "height width 3"]], *, integer_io: bool) -> bytes:
    """Gives the content of a file in int8.

    A kernel has a scale for each channel of its output, an activation one for all. The ranges are taken here, as
    TensorFlow's calibrator gives a tensor that is overwritten in place the range of what overwrites it (its issue
    127842). The input is 0 to 255 in any case, so that with `integer_io` the bytes of a picture are what it takes.

    Args:
        content: Of a file in float32.
        images: To calibrate with, of the network's size.
        integer_io: Input and output are uint8.

    Raises:
        UserError: There is no image.
    """
    model = flatbuffer.read(content)
    observed = observe(content, images)
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        if seen := observed.get(tensor.name.decode()):
            tensor.quantization = schema.QuantizationParametersT(min=[seen.low], max=[seen.high])
    compensate_rounding(model, {name: seen.mean for name, seen in observed.items()})
    kind = tf.uint8 if integer_io else tf.float32
    return bytes(mlir_quantize(flatbuffer.pack(model), input_data_type=kind, output_data_type=kind))


def observe(content: bytes, images: Iterable[UInt8[np.ndarray, "height width 3"]]) -> dict[str, Observed]:
    """Runs a file on images and tells of its input and of all that it computes, by name.

    Raises:
        UserError: There is no image.
    """
    recorder = Recorder(content)
    observed: dict[str, Observed] = {}
    for number, image in enumerate(images, start=1):
        recorder.run(image)
        for name in (recorder.input, *recorder.operators):
            (values,) = recorder[name]
            low, high, mean = observed.get(name, (np.inf, -np.inf, np.zeros_like(values)))
            mean = mean + (values - mean) / number
            observed[name] = Observed(min(low, values.min()), max(high, values.max()), mean)
    if not observed:
        raise UserError("int8 is calibrated on images, and there is none")
    return observed | {recorder.input: observed[recorder.input]._replace(low=0.0, high=255.0)}


def compensate_rounding(model: schema.ModelT, means: Mapping[str, np.ndarray]) -> None:
    """Takes from every bias, in place, what rounding the kernel adds to the mean of the output.

    Activations after ReLU6 are far from zero on average, so that the rounding of a kernel of few weights, such as a
    depthwise one, moves a whole channel (Nagel et al. 2019, section 4.2).

    Args:
        model: A file in float32.
        means: Of what the operations read, over images, by the name of the tensor.
    """
    (graph,) = model.subgraphs
    for operator in graph.operators:
        if not isinstance(operator.builtinOptions, CONVOLUTIONS):
            continue
        read, kernel, bias = (graph.tensors[index] for index in operator.inputs)
        error = rounding_error(flatbuffer.floats(model, kernel).reshape(kernel.shape), operator.builtinOptions)
        added = mean_output(means[read.name.decode()], error, operator.builtinOptions)
        # A tensor of its own: several operations may read the same zeros.
        operator.inputs[2] = len(graph.tensors)
        buffer = flatbuffer.add_buffer(model, (flatbuffer.floats(model, bias) - added).astype(np.float32).tobytes())
        name = graph.tensors[operator.outputs[0]].name + b"/bias"
        graph.tensors.append(schema.TensorT(bias.shape, bias.type, buffer, name))


def rounding_error(kernel: Kernel, options: schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT) -> Kernel:
    """Gives what rounding to integers adds to a kernel.

    Args:
        kernel: As TFLite stores it: `[out, height, width, in]`, or `[1, height, width, channels]` of a depthwise one.
        options: Of its operation.
    """
    axes = (0, 1, 2) if isinstance(options, schema.DepthwiseConv2DOptionsT) else (1, 2, 3)
    scale = np.abs(kernel).max(axes, keepdims=True).astype(np.float64) / LARGEST
    scale[scale == 0] = 1
    return np.round(kernel / scale) * scale - kernel


def mean_output(
    x: Float[np.ndarray, "height width in"],
    kernel: Kernel,
    options: schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT,
) -> Float[np.ndarray, " out"]:
    """Gives the mean over all pixels of what a convolution without bias makes of an image.

    Args:
        x: The image.
        kernel: As in `rounding_error`.
        options: Of the operation.
    """
    stride, size = options.strideH, kernel.shape[1:3]
    if options.padding == schema.Padding.SAME:
        pads = [pad_widths(side, taps, stride, "SAME") for side, taps in zip(x.shape, size, strict=False)]
        x = np.pad(x, (*pads, (0, 0)))
    height, width = (side - taps + 1 for side, taps in zip(x.shape, size, strict=False))
    mean = np.zeros(1)
    for row, column in np.ndindex(*size):
        tap, seen = kernel[:, row, column], x[row : row + height : stride, column : column + width : stride]
        depthwise = isinstance(options, schema.DepthwiseConv2DOptionsT)
        mean = mean + (tap[0] * seen.mean((0, 1)) if depthwise else tap @ seen.mean((0, 1)))
    return mean
