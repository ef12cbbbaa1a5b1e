"""Times of single layers as `.tflite` files, in the form that they have in an exported network.

TFLite's converter takes a fraction of a second for a layer; building its flatbuffer here takes milliseconds.
"""

import pathlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tqdm
from tensorflow.lite.python import schema_py_generated as schema

from mdepth_jax.models import DepthNet
from mdepth_jax.models.depth_net import STRIDE
from mdepth_jax.pruning import latency
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.latency import Layer
from mdepth_jax.pruning.netadapt import DIVISOR
from mdepth_jax.tflite.conversion import check_size, convert
from mdepth_jax.tflite.flatbuffer import ModelBuilder
from mdepth_jax.tflite.folded_layers import split_rows

# Number of layers that are timed in turn, drawn at random so that a busy moment does not fall on one kind of layer.
BATCH = 64

TimeFiles = Callable[[Sequence[pathlib.Path]], Sequence[float]]
"""Function from paths of `.tflite` files to their times in milliseconds."""


@dataclass(frozen=True)
class NetworkTiming:
    """Time of a network, and the sum of the times of its layers.

    The ratio of the two shows how far sums can be trusted: layers that the export merges make it larger; operators that
    are no convolutions, and activations that one layer after another evicts from the caches, make it smaller.

    Attributes:
        table: Path of the latency table.
        rows: Number of layers in the table.
        image: Size of the image, such as "224x448".
        layers: Number of layers of the network.
        sum_ms: Sum of their times.
        whole_ms: Time of the whole network.
    """

    table: str
    rows: int
    image: str
    layers: int
    sum_ms: float
    whole_ms: float

    def to_row(self) -> dict[str, Any]:
        """Returns the row of a table, with `ratio`, the sum over the time of the whole network."""
        return asdict(self) | {"ratio": self.sum_ms / self.whole_ms}


def build_layer(layer: Layer, kernel: np.ndarray | None = None) -> bytes:
    """Builds a `.tflite` file with one linear layer whose bias is zero.

    It leaves out what surrounds a layer in the network: sums, concatenations, poolings, activations that are operators
    of their own, and the padding before a strided layer that does not have TensorFlow's padding.

    Args:
        layer: Layer to build.
        kernel: Kernel, `[height, width, in, out]`, where `in` is 1 if depthwise; noise by default.

    Returns:
        The content of the file.
    """
    builder = ModelBuilder()
    if kernel is None:
        inputs = layer.in_channels if layer.operation == "conv" else 1
        kernel = np.random.default_rng(0).normal(size=(layer.kernel, layer.kernel, inputs, layer.out_channels))
    if layer.operation == "upsampled_depthwise":
        x = builder.add_tensor((1, layer.height // 2, layer.width // 2, layer.in_channels))
        output = _upsample(builder, x, kernel, layer)
    else:
        x = builder.add_tensor((1, layer.height * layer.stride, layer.width * layer.stride, layer.in_channels))
        output = _convolve(builder, x, kernel, layer)
    return builder.build([x], [output])


def time_network(
    model: DepthNet, height: int, width: int, path: pathlib.Path, measured_on: str, time_files: TimeFiles
) -> NetworkTiming:
    """Times all layers that pruning a network can lead to, and the whole network as it is exported.

    Args:
        model: Network.
        height: Height of the image, rounded up to a multiple of 32 as the network pads it.
        width: Width of the image, rounded up to a multiple of 32.
        path: Path of the latency table, as in `fill_table`.
        measured_on: Device and setting.
        time_files: Function that times files.

    Raises:
        UserError: If the size is not positive, or as `fill_table`.
    """
    height, width = (-(-side // STRIDE) * STRIDE for side in (height, width))
    check_size(height, width)
    structure = find_structure(model, height, width)
    wanted = latency.choose_layers(structure, DIVISOR)
    table = fill_table(path, wanted, measured_on, time_files)
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder, "whole.tflite")
        whole.write_bytes(convert(model, height, width))
        (whole_ms,) = time_files([whole])
    times = [table[layer] for layer in latency.list_layers(structure, structure.shapes)]
    return NetworkTiming(
        table=str(path),
        rows=len(table),
        image=f"{height}x{width}",
        layers=len(times),
        sum_ms=sum(times),
        whole_ms=whole_ms,
    )


def fill_table(
    path: pathlib.Path, wanted: Sequence[Layer], measured_on: str, time_files: TimeFiles
) -> dict[Layer, float]:
    """Times the layers that a table lacks; every batch is written at once, so that an interrupt loses little.

    Args:
        path: Path of the table, CSV, which is created if it is missing.
        wanted: Layers that the table shall hold.
        measured_on: Device and setting, a column of the table.
        time_files: Function that times files.

    Returns:
        The milliseconds of all layers in the table.

    Raises:
        UserError: If the file is not a latency table, was measured elsewhere or cannot be written, or as `time_files`.
    """
    table = latency.read_table(path, measured_on) if path.is_file() else {}
    latency.write_table(path, table, measured_on)  # a path that cannot be written is found out before the work
    missing = [layer for layer in wanted if layer not in table]
    order = np.random.default_rng(0).permutation(len(missing))
    with (
        tqdm.tqdm(total=len(wanted), initial=len(wanted) - len(missing), unit="layer", dynamic_ncols=True) as bar,
        tempfile.TemporaryDirectory() as folder,
    ):
        files = [pathlib.Path(folder, f"{number}.tflite") for number in range(BATCH)]
        for start in range(0, len(missing), BATCH):
            batch = [missing[index] for index in order[start : start + BATCH]]
            for file, layer in zip(files, batch, strict=False):
                file.write_bytes(build_layer(layer))
            table |= zip(batch, time_files(files[: len(batch)]), strict=True)
            latency.write_table(path, table, measured_on)
            bar.update(len(batch))
    return table


def _upsample(builder: ModelBuilder, x: int, kernel: np.ndarray, layer: Layer) -> int:
    """Adds the operators of `folded_layers.UpsamplingConv`."""
    width, channels = layer.width, layer.out_channels
    twice = _concatenate(builder, [x, x], 3)
    rows = [_convolve(builder, twice, part, layer) for part in split_rows(kernel)]
    rows = [_reshape(builder, row, (1, layer.height // 2, width, channels)) for row in rows]
    return _reshape(builder, _concatenate(builder, rows, 2), (1, layer.height, width, channels))


def _convolve(builder: ModelBuilder, x: int, kernel: np.ndarray, layer: Layer) -> int:
    _, height, width, _ = builder.shape(x)
    options: schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT
    if layer.operation == "conv":
        name, axes, options = "CONV_2D", (3, 0, 1, 2), schema.Conv2DOptionsT()
    else:
        name, axes, options = "DEPTHWISE_CONV_2D", (2, 0, 1, 3), schema.DepthwiseConv2DOptionsT(depthMultiplier=1)
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, layer.stride, layer.stride
    bias = np.zeros(kernel.shape[3], np.float32)
    inputs = [x, builder.add_constant(kernel.transpose(axes).astype(np.float32)), builder.add_constant(bias)]
    return builder.add_operator(name, inputs, (1, height // layer.stride, width // layer.stride, len(bias)), options)


def _concatenate(builder: ModelBuilder, parts: Sequence[int], axis: int) -> int:
    shape = list(builder.shape(parts[0]))
    shape[axis] *= len(parts)
    return builder.add_operator("CONCATENATION", parts, shape, schema.ConcatenationOptionsT(axis=axis))


def _reshape(builder: ModelBuilder, x: int, shape: Sequence[int]) -> int:
    sizes = builder.add_constant(np.array(shape, np.int32))
    return builder.add_operator("RESHAPE", [x, sizes], shape, schema.ReshapeOptionsT(newShape=list(shape)))
