"""Milliseconds of a network as the sum of its layers, from a table that `tflite.layers` measures.

A table holds every layer at a few widths; between them its time is interpolated.
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
from mdepth_jax.pruning.channels import INPUT, OUTPUT, Structure

Shapes = Mapping[str, tuple[int, ...]]

SHARES = 0.25, 0.5, 0.75  # of a full width, measured beside it and the smallest
COMMAND = "python -m mdepth_jax.benchmark layers --model RUN --output"


class Layer(NamedTuple):
    """What a row of a latency table measures: one convolution with its bias.

    Attributes:
        operation: "conv"; "depthwise"; "upsampled_depthwise" for a depthwise one of what nearest up-sampling gives.
        kernel: Its side in pixels.
        stride: Step along both axes.
        height: Of the output in pixels.
        width: Of the output in pixels.
        in_channels: Channels read.
        out_channels: Channels written.
    """

    operation: str
    kernel: int
    stride: int
    height: int
    width: int
    in_channels: int
    out_channels: int


COLUMNS = (*Layer._fields, "ms")


def layers(structure: Structure, shapes: Shapes) -> Iterator[Layer]:
    """Gives every convolution as the table names it."""
    for conv in structure.convolutions:
        shape = shapes[conv.kernel]
        operation, inputs = ("depthwise", shape[OUTPUT]) if conv.depthwise else ("conv", shape[INPUT])
        if conv.upsampled:
            operation = f"upsampled_{operation}"
        yield Layer(operation, shape[0], conv.stride, conv.height, conv.width, inputs, shape[OUTPUT])


def choose_layers(structure: Structure, divisor: int) -> list[Layer]:
    """Chooses what to measure, so that every network that pruning can reach lies between measured layers.

    Args:
        structure: Of the whole network.
        divisor: Widths are multiples of it; also the smallest width of a group.

    Returns:
        Distinct layers, each at all combinations of its input and output widths: the smallest, the full one, and
        `SHARES` of it. What no group reaches has one width.
    """
    narrow = surgery.shapes_of(structure, surgery.keep_first(structure, divisor))
    found: dict[Layer, None] = {}
    for low, high in zip(layers(structure, narrow), layers(structure, structure.shapes), strict=True):
        outputs = _choose_widths(low.out_channels, high.out_channels, divisor)
        if high.operation == "conv":
            inputs = _choose_widths(low.in_channels, high.in_channels, divisor)
            pairs = list(itertools.product(inputs, outputs))
        else:
            pairs = list(zip(outputs, outputs, strict=True))
        found |= {high._replace(in_channels=read, out_channels=written): None for read, written in pairs}
    return list(found)


class Table:
    """Gives the milliseconds of a layer; bilinear in its widths between those that were measured.

    Args:
        path: As in `read_table`.

    Raises:
        UserError: As `read_table`; when called, for a layer that lies outside of what was measured.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._rows: dict[Layer, dict[int, dict[int, float]]] = {}
        for layer, milliseconds in read_table(path).items():
            place, outputs, inputs = _address(layer)
            self._rows.setdefault(place, {}).setdefault(outputs, {})[inputs] = milliseconds

    def __call__(self, layer: Layer) -> float:
        """Gives the milliseconds of a layer."""
        place, outputs, inputs = _address(layer)
        rows = {width: _interpolate(row, inputs) for width, row in self._rows.get(place, {}).items()}
        found = _interpolate({width: value for width, value in rows.items() if value is not None}, outputs)
        if found is None:
            line = ", ".join(f"{field} {value}" for field, value in layer._asdict().items())
            raise UserError(f"{self.path} lacks a layer ({line}) or one wider and one narrower; {COMMAND} {self.path} "
                            "adds what is missing")  # fmt: skip
        return found


def read_table(path: pathlib.Path, measured_on: str = "") -> dict[Layer, float]:
    """Reads a latency table.

    Args:
        path: CSV with the columns `COLUMNS`, and maybe others.
        measured_on: If given, what the column of that name must say everywhere.

    Raises:
        UserError: If there is no such file, a column is missing, a line does not parse or was measured elsewhere,
            naming it.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"{path}: {reason}; {COMMAND} {path} makes a table") from error
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
                "choose another --output"
            )
    return found


def write_table(path: pathlib.Path, milliseconds: Mapping[Layer, float], measured_on: str) -> None:
    """Writes a latency table whole, in the order of the layers' names and sizes.

    Raises:
        UserError: It cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "measured_on"])
    writer.writerows([*layer, f"{value:.6g}", measured_on] for layer, value in sorted(milliseconds.items()))
    write_text(path, text.getvalue())


def _choose_widths(low: int, high: int, divisor: int) -> list[int]:
    between = (round(high * share / divisor) * divisor for share in SHARES)
    return sorted({low, *(width for width in between if low < width < high), high})


def _address(layer: Layer) -> tuple[Layer, int, int]:
    """What two layers must have in common, and their output and input widths; a depthwise one has a single width."""
    outputs = layer.out_channels if layer.operation == "conv" else 0
    return layer._replace(in_channels=0, out_channels=0), outputs, layer.in_channels


def _interpolate(points: Mapping[int, float], at: int) -> float | None:
    """Linear between the points, None outside of them."""
    if not points or not min(points) <= at <= max(points):
        return None
    widths = sorted(points)
    return float(np.interp(at, widths, [points[width] for width in widths]))
