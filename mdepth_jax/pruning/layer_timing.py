"""Single layers as `.tflite` files, as the exported network has them, and the table of their times.

The converter takes a fraction of a second for a layer; a file that is put together here takes milliseconds.
"""

import pathlib
import tempfile
from collections.abc import Callable, Sequence
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
from mdepth_jax.tflite.flatbuffer import Writer
from mdepth_jax.tflite.folded_layers import split_rows

# Measured in turn. A batch is drawn at random, so that a busy moment does not fall on one kind of layer.
BATCH = 64

TimeFiles = Callable[[Sequence[pathlib.Path]], Sequence[float]]


def build_layer(layer: Layer, kernel: np.ndarray | None = None) -> bytes:
    """Gives the content of a file with one layer, a linear one with a bias of zeros.

    What stays out is what stands beside a layer in the network: sums, concatenations, poolings, activations that are
    operations of their own, and the padding before a strided layer that is not padded as TensorFlow does.

    Args:
        layer: What to build.
        kernel: `[height, width, in, out]`, as in `folded_layers.Affine`; noise if not given.
    """
    writer = Writer()
    if kernel is None:
        inputs = layer.in_channels if layer.operation == "conv" else 1
        kernel = np.random.default_rng(0).normal(size=(layer.kernel, layer.kernel, inputs, layer.out_channels))
    if layer.operation == "upsampled_depthwise":
        x = writer.tensor((1, layer.height // 2, layer.width // 2, layer.in_channels))
        output = _upsample(writer, x, kernel, layer)
    else:
        x = writer.tensor((1, layer.height * layer.stride, layer.width * layer.stride, layer.in_channels))
        output = _convolve(writer, x, kernel, layer)
    return writer.content([x], [output])


def measure_network(
    model: DepthNet, height: int, width: int, path: pathlib.Path, measured_on: str, time_files: TimeFiles
) -> dict[str, Any]:
    """Measures all layers that pruning a network can lead to, and the whole network as it is exported.

    Args:
        model: The network.
        height: Of the image; what is no multiple of 32 is padded, as the network does.
        width: Of the image.
        path: As in `fill_table`.
        measured_on: As in `fill_table`.
        time_files: As in `fill_table`.

    Returns:
        The row of a table: `ratio` is the sum of the network's layers over the time of the whole. It tells how far sums
        can be believed: layers that the export merges make it larger; operations that are no convolutions, and arrays
        that one layer after another drives out of the caches, smaller.

    Raises:
        UserError: The size is not positive, or as `fill_table`.
    """
    height, width = (-(-side // STRIDE) * STRIDE for side in (height, width))
    check_size(height, width)
    structure = find_structure(model, height, width)
    rows = fill_table(path, latency.choose_layers(structure, DIVISOR), measured_on, time_files)
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder, "whole.tflite")
        whole.write_bytes(convert(model, height, width))
        (whole_ms,) = time_files([whole])
    times = [rows[layer] for layer in latency.list_layers(structure, structure.shapes)]
    return {"table": str(path), "rows": len(rows), "image": f"{height}x{width}", "layers": len(times),
            "sum_ms": sum(times), "whole_ms": whole_ms, "ratio": sum(times) / whole_ms}  # fmt: skip


def fill_table(
    path: pathlib.Path, wanted: Sequence[Layer], measured_on: str, time_files: TimeFiles
) -> dict[Layer, float]:
    """Measures the layers that a table lacks; every batch is written at once, so that an interrupt loses little.

    Args:
        path: The table, CSV; made if there is none.
        wanted: Layers.
        measured_on: Device and setting, told in the table.
        time_files: Gives the milliseconds of `.tflite` files.

    Returns:
        The whole table.

    Raises:
        UserError: The table is none, was measured elsewhere or cannot be written, or as `time_files`.
    """
    table = latency.read_table(path, measured_on) if path.is_file() else {}
    latency.write_table(path, table, measured_on)  # a place that cannot be written is found out here
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


def _upsample(writer: Writer, x: int, kernel: np.ndarray, layer: Layer) -> int:
    """As `folded_layers.UpsamplingConv`."""
    width, channels = layer.width, layer.out_channels
    twice = _concatenate(writer, [x, x], 3)
    rows = [_convolve(writer, twice, part, layer) for part in split_rows(kernel)]
    rows = [_reshape(writer, row, (1, layer.height // 2, width, channels)) for row in rows]
    return _reshape(writer, _concatenate(writer, rows, 2), (1, layer.height, width, channels))


def _convolve(writer: Writer, x: int, kernel: np.ndarray, layer: Layer) -> int:
    _, height, width, _ = writer.shape(x)
    options: schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT
    if layer.operation == "conv":
        name, axes, options = "CONV_2D", (3, 0, 1, 2), schema.Conv2DOptionsT()
    else:
        name, axes, options = "DEPTHWISE_CONV_2D", (2, 0, 1, 3), schema.DepthwiseConv2DOptionsT(depthMultiplier=1)
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, layer.stride, layer.stride
    bias = np.zeros(kernel.shape[3], np.float32)
    inputs = [x, writer.constant(kernel.transpose(axes).astype(np.float32)), writer.constant(bias)]
    return writer.operator(name, inputs, (1, height // layer.stride, width // layer.stride, len(bias)), options)


def _concatenate(writer: Writer, parts: Sequence[int], axis: int) -> int:
    shape = list(writer.shape(parts[0]))
    shape[axis] *= len(parts)
    return writer.operator("CONCATENATION", parts, shape, schema.ConcatenationOptionsT(axis=axis))


def _reshape(writer: Writer, x: int, shape: Sequence[int]) -> int:
    sizes = writer.constant(np.array(shape, np.int32))
    return writer.operator("RESHAPE", [x, sizes], shape, schema.ReshapeOptionsT(newShape=list(shape)))
