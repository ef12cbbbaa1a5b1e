"""Evaluation on held-out pairs: WHDR with its uncertainty, and the baseline of image rows."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from mdepth_jax.training.step import Arrays, local_rows, shard_batch


class Evaluation(NamedTuple):
    """The result on a set of pairs.

    Attributes:
        wrong: Number of pairs ordered wrongly.
        total: Number of pairs.
        row_wrong: Wrong pairs of the baseline that calls the higher image row the farther one (a tie is half wrong).
        images: `[n, H, W, 3]`, uint8, the first batch.
        predictions: `[n, H, W, 1]`, of those images.
        references: `[n, H, W, 1]`, true or teacher's depth of those images, or None.
    """

    wrong: int
    total: int
    row_wrong: float
    images: np.ndarray
    predictions: np.ndarray
    references: np.ndarray | None

    @property
    def whdr(self) -> float:
        """Share of wrong pairs, 0 to 1."""
        return self.wrong / self.total

    @property
    def row_whdr(self) -> float:
        """WHDR of the row baseline."""
        return self.row_wrong / self.total

    @property
    def interval(self) -> float:
        """Half of the 95 % confidence interval of `whdr` (normal approximation)."""
        return 1.96 * math.sqrt(self.whdr * (1 - self.whdr) / self.total)


def evaluate(eval_step: Callable[[Arrays], Arrays], batches: Iterable[Any], mesh: Mesh) -> Evaluation:
    """Scores a network on pairs, counting every pair once.

    Args:
        eval_step: Scores a batch on the devices: see `step.make_eval_step`.
        batches: Of `mdepth_jax.data.pipeline.eval_batches`.
        mesh: The devices.
    """
    wrong = total = 0
    row_wrong = 0.0
    first: tuple[Any, np.ndarray] | None = None
    for batch in batches:
        arrays = {key: batch[key] for key in ("image", "points", "relation", "valid", "image_size")}
        result = eval_step(shard_batch(arrays, mesh))
        wrong += int(result["wrong"])
        total += int(result["total"])
        row_wrong += float(result["row_wrong"])
        if first is None:
            first = batch, local_rows(result["depth"])
    assert first is not None, "the pipeline refuses an empty data set"
    batch, predictions = first
    return Evaluation(
        wrong, total, row_wrong, batch["image"], predictions, batch.get("depth", batch.get("teacher_depth"))
    )
