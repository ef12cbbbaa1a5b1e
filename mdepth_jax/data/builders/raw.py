"""One split of a published data set on its way to records."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from mdepth_jax.data.types import MapKey, RawExample
from mdepth_jax.errors import UserError

_PART = 64


@runtime_checkable
class RawSource(Protocol):
    """One split of a published data set, on its way to records.

    Attributes:
        entries: Where the examples are; a slice of them is a part of the split.
        max_pairs: The largest number of pairs of one example.
    """

    entries: Sequence[Any]
    max_pairs: int

    @property
    def name(self) -> str:
        """What errors name."""

    @property
    def map_keys(self) -> tuple[MapKey, ...]:
        """The maps that examples have."""

    def checked(self, index: int) -> RawExample:
        """One example, which is known to be readable; raises UserError otherwise."""


def read_part(start: int, split: RawSource) -> Iterator[tuple[int, RawExample | UserError]]:
    """The examples of a part of a split that begins at `start`, each with its index, or what is wrong with it."""
    for index in range(len(split.entries)):
        try:
            yield start + index, split.checked(index)
        except UserError as error:
            yield start + index, error


def parts_of(split: RawSource) -> Iterator[tuple[int, RawSource]]:
    """Cuts a split into parts, each with the index of its first example."""
    for start in range(0, len(split.entries), _PART):
        part = copy.copy(split)
        part.entries = split.entries[start : start + _PART]
        yield start, part
