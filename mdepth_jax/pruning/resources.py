"""What a network costs: parameters, multiply-adds, or milliseconds from a table measured layer by layer."""

import functools
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from mdepth_jax.errors import UserError
from mdepth_jax.pruning import latency
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.latency import Shapes


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
        table: See `latency.read_table`; for "latency_ms".

    Raises:
        UserError: If there is no such resource, or as `latency.Table`, also when measuring.
    """
    match name:
        case "params":
            return Resource(name, lambda shapes: float(sum(math.prod(shapes[path]) for path in structure.parameters)))
        case "macs":
            return Resource(name, lambda shapes: float(count_macs(structure, shapes)))
        case "latency_ms":
            if table is None:
                raise UserError(
                    "a latency target needs a table of measured layers, --latency_table FILE.csv; "
                    f"{latency.COMMAND} FILE.csv makes it"
                )
            milliseconds = functools.cache(latency.Table(table))
            return Resource(name, lambda shapes: sum(map(milliseconds, latency.layers(structure, shapes))))
    raise UserError(f"{name!r} is no resource; choose one of {', '.join(FORMATS)}")


def count_macs(structure: Structure, shapes: Shapes) -> int:
    """Counts the multiply-adds of all convolutions for one image."""
    return sum(conv.height * conv.width * math.prod(shapes[conv.kernel]) for conv in structure.convolutions)
