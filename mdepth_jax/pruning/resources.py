"""What a network costs: parameters, multiply-adds, or milliseconds from a table measured layer by layer."""

import csv
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from mdepth_jax.errors import UserError
from mdepth_jax.pruning.channels import INPUT, OUTPUT, Structure

Shapes = Mapping[str, tuple[int, ...]]


class Layer(NamedTuple):
    """A row of a latency table.

    Attributes:
        operation: "conv" or "depthwise".
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


class Resource(NamedTuple):
    """What pruning saves.

    Attributes:
        name: A key of `FORMATS`.
        measure: From the shapes of all variables, as `surgery.shapes_of` gives them.
    """

    name: str
    measure: Callable[[Shapes], float]

    def tell(self, amount: float) -> str:
        """Gives an amount in words."""
        return FORMATS[self.name](amount)


FORMATS: Mapping[str, Callable[[float], str]] = {
    "params": lambda amount: f"{amount:,.0f} parameters",
    "macs": lambda amount: f"{amount / 1e9:.4f} GMACs",
    "latency_ms": lambda amount: f"{amount:.2f} ms",
}


def make_resource(name: str, structure: Structure, table: pathlib.Path | None = None) -> Resource:
    """Makes the measure of a resource.

    Args:
        name: A key of `FORMATS`.
        structure: Of the network; its image size is that of multiply-adds and milliseconds.
        table: CSV with the columns of `Layer` and `ms`; for "latency_ms".

    Raises:
        UserError: If there is no such resource, or as `read_table`; when measuring, if the table lacks a layer.
    """
    match name:
        case "params":
            return Resource(name, lambda shapes: float(sum(math.prod(shapes[path]) for path in structure.parameters)))
        case "macs":
            return Resource(name, lambda shapes: float(count_macs(structure, shapes)))
        case "latency_ms":
            if table is None:
                raise UserError("a latency target needs a table of measured layers: --latency_table FILE.csv")
            milliseconds = read_table(table)
            return Resource(name, lambda shapes: _look_up(table, milliseconds, layers(structure, shapes)))
    raise UserError(f"{name!r} is no resource; choose one of {', '.join(FORMATS)}")


def count_macs(structure: Structure, shapes: Shapes) -> int:
    """Counts the multiply-adds of all convolutions for one image."""
    return sum(conv.height * conv.width * math.prod(shapes[conv.kernel]) for conv in structure.convolutions)


def layers(structure: Structure, shapes: Shapes) -> Iterator[Layer]:
    """Gives every convolution as the table names it."""
    for conv in structure.convolutions:
        shape = shapes[conv.kernel]
        operation, inputs = ("depthwise", shape[OUTPUT]) if conv.depthwise else ("conv", shape[INPUT])
        yield Layer(operation, shape[0], conv.stride, conv.height, conv.width, inputs, shape[OUTPUT])


def read_table(path: pathlib.Path) -> dict[Layer, float]:
    """Reads a latency table.

    Raises:
        UserError: If there is no such file, a column is missing or a line does not parse, naming it.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    found = {}
    for number, row in enumerate(rows, start=2):
        try:
            operation, *numbers = (row[field] for field in Layer._fields)
            found[Layer(operation, *map(int, numbers))] = float(row["ms"])
        except KeyError as error:
            raise UserError(f"{path}: column {error} is missing; it needs {','.join((*Layer._fields, 'ms'))}") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}:{number}: {error}") from None
    return found


def _look_up(path: pathlib.Path, milliseconds: Mapping[Layer, float], wanted: Iterator[Layer]) -> float:
    total = 0.0
    for layer in wanted:
        if layer not in milliseconds:
            line = ", ".join(f"{field} {value}" for field, value in layer._asdict().items())
            raise UserError(f"{path} lacks a layer ({line}); measure it and add the line")
        total += milliseconds[layer]
    return total
