"""Splits of published data sets before they are written as records."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from mdepth_jax.data.types import MapKey, RawExample
from mdepth_jax.errors import UserError

_PART_SIZE = 64


@runtime_checkable
class RawSplit(Protocol):
    """One split of a published data set, whose examples are checked one by one.

    Attributes:
        entries: Locations of the examples; a slice of them is a part of the split.
        max_pairs: Largest number of pairs of an example.
    """

    entries: Sequence[Any]
    max_pairs: int

    @property
    def name(self) -> str:
        """Returns the file or folder that error messages name."""

    @property
    def map_keys(self) -> tuple[MapKey, ...]:
        """Returns the keys of the maps that examples have."""

    def load_checked(self, index: int) -> RawExample:
        """Loads an example and checks that it can be decoded.

        Raises:
            UserError: If a file of the example is missing or invalid.
        """


def read_examples(split: RawSplit, first_index: int = 0) -> Iterator[tuple[int, RawExample | UserError]]:
    """Loads all examples of a split or of a part of it.

    Args:
        split: Split, or part of a split.
        first_index: Index of its first example in the full split.

    Yields:
        The index of each example in the full split, and the example or the error that it raises.
    """
    for index in range(len(split.entries)):
        try:
            yield first_index + index, split.load_checked(index)
        except UserError as error:
            yield first_index + index, error


def partition_split(split: RawSplit) -> Iterator[tuple[RawSplit, int]]:
    """Cuts a split into parts of a few examples, which can be read in parallel.

    Yields:
        Each part and the index of its first example in the split.
    """
    for start in range(0, len(split.entries), _PART_SIZE):
        part = copy.copy(split)
        part.entries = split.entries[start : start + _PART_SIZE]
        yield part, start
