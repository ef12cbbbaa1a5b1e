"""Resources of a network: parameters, multiply-adds, or milliseconds from a table of measured layers."""

import functools
import math
import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mdepth_jax.errors import UserError
from mdepth_jax.pruning import latency
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.latency import Shapes

FORMATS: Mapping[str, Callable[[float], str]] = {
    "params": lambda amount: f"{amount:,.0f} parameters",
    "macs": lambda amount: f"{amount / 1e9:.4f} GMACs",
    "latency_ms": lambda amount: f"{amount:.2f} ms",
}


@dataclass(frozen=True)
class Resource:
    """A resource that pruning saves.

    Attributes:
        name: Key of `FORMATS`.
        measure: Function from the shapes of all variables (see `surgery.pruned_shapes`) to the amount needed.
    """

    name: str
    measure: Callable[[Shapes], float]

    def format(self, amount: float) -> str:
        """Formats an amount with its unit."""
        return FORMATS[self.name](amount)


def make_resource(name: str, structure: Structure, latency_table: pathlib.Path | None = None) -> Resource:
    """Builds the measure of a resource.

    Args:
        name: Key of `FORMATS`.
        structure: Structure of the network; multiply-adds and milliseconds are those at its image size.
        latency_table: Path of a table for "latency_ms", see `latency.read_table`.

    Raises:
        UserError: If there is no such resource or the table cannot be read; also on measuring a layer that it lacks.
    """
    match name:
        case "params":
            return Resource(name, lambda shapes: float(sum(math.prod(shapes[path]) for path in structure.parameters)))
        case "macs":
            return Resource(name, lambda shapes: float(count_macs(structure, shapes)))
        case "latency_ms":
            if latency_table is None:
                raise UserError(
                    "a target of latency needs `latency_table=FILE.csv`, a table of measured layers; "
                    f"{latency.command_to_measure('FILE.csv')} creates it"
                )
            milliseconds = functools.cache(latency.LatencyTable(latency_table))
            return Resource(name, lambda shapes: sum(map(milliseconds, latency.list_layers(structure, shapes))))
    raise UserError(f"{name!r} is not a resource; choose one of {', '.join(FORMATS)}")


def count_macs(structure: Structure, shapes: Shapes) -> int:
    """Counts the multiply-adds of all convolutions for one image."""
    return sum(conv.height * conv.width * math.prod(shapes[conv.kernel]) for conv in structure.convolutions)
