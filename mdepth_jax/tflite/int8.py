"""Full-integer post-training quantization: activation ranges from calibration images, and bias correction.

Weights are symmetric with a scale per output channel, activations have one scale and zero point per tensor
(https://ai.google.dev/edge/litert/models/quantization_spec).

References:
    Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from mdepth_jax.errors import UserError
from mdepth_jax.models.depthwise import pad_widths
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite import flatbuffer
from mdepth_jax.tflite.recorder import Recorder

MAX_WEIGHT = 127  # of symmetric int8
ConvOptions: TypeAlias = schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT
Kernel = Float[np.ndarray, "_ rows columns _"]


class ActivationStatistics(NamedTuple):
    """Statistics of an activation over the calibration images.

    Attributes:
        low: Smallest value.
        high: Largest value.
        mean: Mean over the images.
    """

    low: float
    high: float
    mean: Float[np.ndarray, "height width channels"]


def quantize(content: bytes, images: Iterable[UInt8[np.ndarray, "height width 3"]], *, integer_io: bool) -> bytes:
    """Quantizes a `.tflite` file to int8.

    The activation ranges are taken here, as TensorFlow's calibrator assigns to a tensor that is overwritten in place
    the range of the tensor that overwrites it (its issue 127842). The input range is always 0 to 255, so that with
    `integer_io` the bytes of an image are the input.

    Args:
        content: Content of a float32 file.
        images: Calibration images at the network's size.
        integer_io: Whether input and output are uint8 in place of float32.

    Returns:
        The content of the quantized file.

    Raises:
        UserError: If there are no images.
    """
    model = flatbuffer.parse_model(content)
    statistics = calibrate(content, images)
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        if activation := statistics.get(tensor.name.decode()):
            tensor.quantization = schema.QuantizationParametersT(min=[activation.low], max=[activation.high])
    correct_biases(model, {name: activation.mean for name, activation in statistics.items()})
    kind = tf.uint8 if integer_io else tf.float32
    return bytes(mlir_quantize(flatbuffer.serialize_model(model), input_data_type=kind, output_data_type=kind))


def calibrate(content: bytes, images: Iterable[UInt8[np.ndarray, "height width 3"]]) -> dict[str, ActivationStatistics]:
    """Computes the statistics of the input and of all activations over calibration images.

    Args:
        content: Content of a float32 file.
        images: Calibration images at the network's size.

    Returns:
        Statistics by the name of the tensor.

    Raises:
        UserError: If there are no images.
    """
    recorder = Recorder(content)
    statistics: dict[str, ActivationStatistics] = {}
    for number, image in enumerate(images, start=1):
        recorder.run(image)
        for name in (recorder.input, *recorder.operators):
            (values,) = recorder[name]
            low, high, mean = statistics.get(name, (np.inf, -np.inf, np.zeros_like(values)))
            mean = mean + (values - mean) / number
            statistics[name] = ActivationStatistics(min(low, values.min()), max(high, values.max()), mean)
    if not statistics:
        raise UserError("int8 is calibrated on images, and there is none")
    return statistics | {recorder.input: statistics[recorder.input]._replace(low=0.0, high=255.0)}


def correct_biases(model: schema.ModelT, means: Mapping[str, np.ndarray]) -> None:
    """Subtracts from every bias, in place, the mean output error that quantizing the weights causes.

    Bias correction (Nagel et al. 2019, section 4.2) with means measured on images: after ReLU6 activations are far from
    zero on average, so that rounding a kernel of few weights, such as a depthwise one, shifts a whole channel.

    Args:
        model: Parsed float32 file.
        means: Mean of every activation over the calibration images, by the name of its tensor.
    """
    (graph,) = model.subgraphs
    for operator in graph.operators:
        if not isinstance(operator.builtinOptions, ConvOptions):
            continue
        x, kernel, bias = (graph.tensors[index] for index in operator.inputs)
        error = weight_error(flatbuffer.read_float32(model, kernel).reshape(kernel.shape), operator.builtinOptions)
        shift = mean_output(means[x.name.decode()], error, operator.builtinOptions)
        # A new tensor: several operators may share a bias of zeros.
        operator.inputs[2] = len(graph.tensors)
        corrected = (flatbuffer.read_float32(model, bias) - shift).astype(np.float32)
        buffer = flatbuffer.add_buffer(model, corrected.tobytes())
        name = graph.tensors[operator.outputs[0]].name + b"/bias"
        graph.tensors.append(schema.TensorT(bias.shape, bias.type, buffer, name))


def weight_error(kernel: Kernel, options: ConvOptions) -> Kernel:
    """Computes the error of per-channel weights: the quantized kernel minus the kernel.

    Args:
        kernel: Kernel in TFLite's layout: `[out, height, width, in]`, or `[1, height, width, channels]` if depthwise.
        options: Options of its operator.
    """
    axes = (0, 1, 2) if isinstance(options, schema.DepthwiseConv2DOptionsT) else (1, 2, 3)
    scale = np.abs(kernel).max(axes, keepdims=True).astype(np.float64) / MAX_WEIGHT
    scale[scale == 0] = 1
    return np.round(kernel / scale) * scale - kernel


def mean_output(
    x: Float[np.ndarray, "height width in"], kernel: Kernel, options: ConvOptions
) -> Float[np.ndarray, " out"]:
    """Computes the mean over all pixels of the output of a convolution without bias.

    Args:
        x: Input.
        kernel: Kernel in the layout of `weight_error`.
        options: Options of the operator, which hold stride and padding.
    """
    stride, size = options.strideH, kernel.shape[1:3]
    if options.padding == schema.Padding.SAME:
        pads = [pad_widths(side, taps, stride, "SAME") for side, taps in zip(x.shape, size, strict=False)]
        x = np.pad(x, (*pads, (0, 0)))
    height, width = (side - taps + 1 for side, taps in zip(x.shape, size, strict=False))
    mean = np.zeros(1)
    for row, column in np.ndindex(*size):
        tap, window = kernel[:, row, column], x[row : row + height : stride, column : column + width : stride]
        depthwise = isinstance(options, schema.DepthwiseConv2DOptionsT)
        mean = mean + (tap[0] * window.mean((0, 1)) if depthwise else tap @ window.mean((0, 1)))
    return mean
