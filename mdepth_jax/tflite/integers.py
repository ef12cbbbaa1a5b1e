"""Full int8: scales from the ranges that a network takes on images, and biases that make up for rounded kernels."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from mdepth_jax.data.reader_tensorflow import tf
from mdepth_jax.tflite import flatbuffer
from mdepth_jax.tflite.recorder import Recorder

LARGEST = 127  # of the integers of a kernel, which are symmetric


class Observed(NamedTuple):
    """What a tensor of a network holds on some images.

    Attributes:
        low: The smallest value.
        high: The largest.
        mean: Of each channel, `[channels]`.
    """

    low: float
    high: float
    mean: Float[np.ndarray, " channels"]


def quantize(content: bytes, images: Iterable[UInt8[np.ndarray, "height width 3"]], *, integer_io: bool) -> bytes:
    """Gives the content of a file in int8.

    A kernel has a scale for each channel of its output, an activation one for all. The ranges are taken here, as
    TensorFlow's calibrator gives a tensor that is overwritten in place the range of what overwrites it (its issue
    127842). The input is 0 to 255 in any case, so that with `integer_io` the bytes of a picture are what it takes.

    Args:
        content: Of a file in float32.
        images: To calibrate with, of the network's size; at least one.
        integer_io: Input and output are uint8.
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
    """Runs a file on images and tells of its input and of all that it computes, by name."""
    recorder = Recorder(content)
    seen: dict[str, list[Observed]] = {name: [] for name in (recorder.input, *recorder.operators)}
    for image in images:
        recorder.run(image)
        for name, parts in seen.items():
            values = recorder[name]
            parts.append(Observed(values.min(), values.max(), values.mean(axis=tuple(range(values.ndim - 1)))))
    observed = {}
    for name, parts in seen.items():
        lows, highs, means = zip(*parts, strict=True)
        observed[name] = Observed(min(lows), max(highs), np.mean(means, axis=0))
    return observed | {recorder.input: observed[recorder.input]._replace(low=0.0, high=255.0)}


def compensate_rounding(model: schema.ModelT, means: Mapping[str, np.ndarray]) -> None:
    """Takes from every bias, in place, what rounding the kernel adds to the mean of the output.

    Activations after ReLU6 are far from zero on average, so that the rounding of a kernel of few weights, such as a
    depthwise one, moves a whole channel (Nagel et al. 2019, section 4.2). At the margin, where a kernel reads zeros, a
    little too much is taken.

    Args:
        model: A file in float32.
        means: Of each channel of what the operations read, by the name of the tensor.
    """
    (graph,) = model.subgraphs
    for operator in graph.operators:
        if not isinstance(operator.builtinOptions, schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT):
            continue
        read, kernel, bias = (graph.tensors[index] for index in operator.inputs)
        weights = flatbuffer.floats(model, kernel).reshape(kernel.shape)
        depthwise = isinstance(operator.builtinOptions, schema.DepthwiseConv2DOptionsT)
        added = (rounding_error(weights, depthwise) * means[read.name.decode()]).sum(0 if depthwise else 1)
        # A tensor of its own: several operations may read the same zeros.
        operator.inputs[2] = len(graph.tensors)
        buffer = flatbuffer.add_buffer(model, (flatbuffer.floats(model, bias) - added).astype(np.float32).tobytes())
        name = graph.tensors[operator.outputs[0]].name + b"/bias"
        graph.tensors.append(schema.TensorT(bias.shape, bias.type, buffer, name))


def rounding_error(weights: np.ndarray, depthwise: bool) -> np.ndarray:
    """Gives what rounding to integers adds to a kernel, summed over its taps.

    Args:
        weights: As TFLite stores them: `[out, height, width, in]`; `[1, height, width, channels]` if depthwise.
        depthwise: Whether they are.

    Returns:
        `[out, in]`; `[1, channels]` if depthwise.
    """
    axes = (0, 1, 2) if depthwise else (1, 2, 3)
    scale = np.abs(weights).max(axes, keepdims=True).astype(np.float64) / LARGEST
    scale[scale == 0] = 1
    return (np.round(weights / scale) * scale - weights).sum((1, 2))
