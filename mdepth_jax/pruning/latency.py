"""Latency of a network as the sum of its layers, looked up in a table (NetAdapt, Sec. 3.4).

The table, which `layer_timing` measures, has every layer at a few widths; the time between them is interpolated.
"""

import csv
import io
import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from mdepth_jax.errors import UserError
from mdepth_jax.files import write_text
from mdepth_jax.pruning import surgery
from mdepth_jax.pruning.channels import Structure

Shapes = Mapping[str, tuple[int, ...]]

SHARES = 0.25, 0.5, 0.75  # shares of a full width that are measured, next to the full and the smallest one


class Layer(NamedTuple):
    """A row of a latency table: one convolution with its bias.

    Attributes:
        operation: "conv", "depthwise", or "upsampled_depthwise" for one that follows nearest up-sampling.
        kernel: Side of the kernel in pixels.
        stride: Stride along both axes.
        height: Height of the output in pixels.
        width: Width of the output in pixels.
        in_channels: Number of input channels.
        out_channels: Number of output channels.
    """

    operation: str
    kernel: int
    stride: int
    height: int
    width: int
    in_channels: int
    out_channels: int


COLUMNS = (*Layer._fields, "ms")


def command_to_measure(table: pathlib.Path | str) -> str:
    """Returns the command that writes a table or adds to it, for messages."""
    return f"python -m mdepth_jax.benchmark layers with `model=RUN` and `output={table}`"


def list_layers(structure: Structure, shapes: Shapes) -> Iterator[Layer]:
    """Yields every convolution of a network as a table lists it.

    Args:
        structure: Structure of the full network.
        shapes: Shapes of the variables of the network.
    """
    for conv in structure.convolutions:
        kernel, _, in_channels, out_channels = shapes[conv.kernel]
        operation = "depthwise" if conv.depthwise else "conv"
        yield Layer(
            operation=f"upsampled_{operation}" if conv.upsampled else operation,
            kernel=kernel,
            stride=conv.stride,
            height=conv.height,
            width=conv.width,
            in_channels=out_channels if conv.depthwise else in_channels,
            out_channels=out_channels,
        )


def choose_layers(structure: Structure, divisor: int) -> list[Layer]:
    """Chooses the layers to measure, so that those of every pruned network lie between measured ones.

    Args:
        structure: Structure of the full network.
        divisor: Divisor of all widths; also the smallest width of a group.

    Returns:
        Distinct layers, each at all combinations of its input and output widths: the smallest, the full one, and
        `SHARES` of it. A width that pruning cannot change is the only one.
    """
    narrow = surgery.pruned_shapes(structure, surgery.keep_first(structure, divisor))
    chosen: dict[Layer, None] = {}
    for low, high in zip(list_layers(structure, narrow), list_layers(structure, structure.shapes), strict=True):
        outputs = _choose_widths(low.out_channels, high.out_channels, divisor)
        if high.operation == "conv":
            inputs = _choose_widths(low.in_channels, high.in_channels, divisor)
            pairs = list(itertools.product(inputs, outputs))
        else:
            pairs = list(zip(outputs, outputs, strict=True))
        for in_channels, out_channels in pairs:
            chosen[high._replace(in_channels=in_channels, out_channels=out_channels)] = None
    return list(chosen)


class LatencyTable:
    """Latency of layers in milliseconds, bilinear in the widths between those that were measured.

    Args:
        path: Path of the table, see `read_table`.

    Raises:
        UserError: If the table cannot be read.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._rows: dict[Layer, dict[int, dict[int, float]]] = {}
        for layer, milliseconds in read_table(path).items():
            key, outputs, inputs = _split_widths(layer)
            self._rows.setdefault(key, {}).setdefault(outputs, {})[inputs] = milliseconds

    def __call__(self, layer: Layer) -> float:
        """Returns the milliseconds of a layer.

        Raises:
            UserError: If the layer lies outside of those that were measured.
        """
        key, outputs, inputs = _split_widths(layer)
        rows = {width: _interpolate(row, inputs) for width, row in self._rows.get(key, {}).items()}
        found = _interpolate({width: value for width, value in rows.items() if value is not None}, outputs)
        if found is None:
            fields = ", ".join(f"{field} {value}" for field, value in layer._asdict().items())
            raise UserError(
                f"{self.path} lacks a layer ({fields}) or one wider and one narrower; "
                f"{command_to_measure(self.path)} adds it"
            )
        return found


def read_table(path: pathlib.Path, measured_on: str = "") -> dict[Layer, float]:
    """Reads a latency table.

    Args:
        path: CSV file with the columns `COLUMNS`; others are ignored.
        measured_on: Required value of the column `measured_on`; empty for any.

    Returns:
        Milliseconds by layer.

    Raises:
        UserError: If there is no such file, a column is missing, or a line is malformed or was measured elsewhere;
            the message names the line.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"{path}: {reason}; {command_to_measure(path)} creates a table") from error
    found = {}
    for number, row in enumerate(rows, start=2):
        try:
            operation, *numbers = (row[field] for field in Layer._fields)
            found[Layer(operation, *map(int, numbers))] = float(row["ms"])
        except KeyError as error:
            raise UserError(f"{path}: column {error} is missing; it needs {','.join(COLUMNS)}") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}:{number}: {error}") from None
        if measured_on and row.get("measured_on") != measured_on:
            raise UserError(
                f"{path}:{number}: measured on {row.get('measured_on') or 'something unknown'}, not on {measured_on}; "
                "choose another `output`"
            )
    return found


def write_table(path: pathlib.Path, milliseconds: Mapping[Layer, float], measured_on: str) -> None:
    """Writes a latency table, sorted by layer.

    Args:
        path: Path of the CSV file.
        milliseconds: Milliseconds by layer.
        measured_on: Device and settings that the layers were timed with.

    Raises:
        UserError: If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "measured_on"])
    writer.writerows([*layer, f"{value:.6g}", measured_on] for layer, value in sorted(milliseconds.items()))
    write_text(path, text.getvalue())


def _choose_widths(low: int, high: int, divisor: int) -> list[int]:
    between = (round(high * share / divisor) * divisor for share in SHARES)
    return sorted({low, *(width for width in between if low < width < high), high})


def _split_widths(layer: Layer) -> tuple[Layer, int, int]:
    """Splits a layer into the layer without widths, its output width and its input width.

    A depthwise convolution has one width, the input width; its output width is 0.
    """
    outputs = layer.out_channels if layer.operation == "conv" else 0
    return layer._replace(in_channels=0, out_channels=0), outputs, layer.in_channels


def _interpolate(points: Mapping[int, float], at: int) -> float | None:
    """Interpolates linearly between the points; None outside of them."""
    if not points or not min(points) <= at <= max(points):
        return None
    widths = sorted(points)
    return float(np.interp(at, widths, [points[width] for width in widths]))
