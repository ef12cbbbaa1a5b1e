"""Division of a data set into training images and validation images."""

from collections.abc import Sequence

import numpy as np

from mdepth_jax.data.types import Example, Source


class Subset:
    """Some of the examples of a source, with its identity; a `Source`.

    Args:
        source: The whole source.
        indices: Indices of the examples.
        split: Name of the part.
    """

    def __init__(self, source: Source, indices: Sequence[int] | np.ndarray, split: str):
        self.source, self.indices = source, indices
        self.split = split
        self.info, self.max_pairs, self.teacher_meaning = source.info, source.max_pairs, source.teacher_meaning

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Example:
        return self.source[int(self.indices[index])]


def count_held_out(count: int, share: float) -> int:
    """Returns the number of examples to hold out of `count`: the share, rounded down."""
    return int(share * count + 1e-9)  # 0.29 * 100 is 28.999999999999996


def hold_out(source: Source, share: float, seed: int) -> tuple[Source, Source | None]:
    """Divides a source at random into a part to train on and a part to make choices by.

    The division is a function of the source's length, the share and the seed alone: every stage of a training, its
    pruning and its fine-tuning hold out the same images. Each part keeps the order of the source.

    Args:
        source: The whole source.
        share: Share of the examples to hold out, 0 to 1; their number is rounded down.
        seed: Seed of the choice.

    Returns:
        The part to train on, and the part held out; the whole source and None where that would be empty.
    """
    count = count_held_out(len(source), share)
    if not count:
        return source, None
    order = np.random.default_rng(seed).permutation(len(source))
    name = source.split or "images"
    kept, held_out = np.sort(order[count:]), np.sort(order[:count])
    return Subset(source, kept, name), Subset(source, held_out, f"{name} (validation part)")
