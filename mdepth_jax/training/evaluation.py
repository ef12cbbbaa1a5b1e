"""Evaluation on a validation or test set: WHDR with its interval, the baseline of image rows, errors of depth maps."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import Array, Float

from mdepth_jax import metrics
from mdepth_jax.data.images import resize_map
from mdepth_jax.data.types import EvalSet
from mdepth_jax.training.step import Arrays, local_rows, shard_batch

Map = Float[Array, "batch height width 1"]
DepthErrors = metrics.DenseSums | metrics.ImageErrors
FITS = {"affine": metrics.align_affine, "disparity": metrics.align_disparity}
"""Alignments that fit each prediction to its depth map."""
ALIGNMENTS = ("none", "nyu", *FITS)


class Evaluation(NamedTuple):
    """The result on a validation or test set.

    Attributes:
        wrong_pairs: Number of pairs of each image that are ordered wrongly, `[images]`.
        pairs: Number of pairs of each image, `[images]`.
        row_wrong: Wrong pairs of the baseline that calls the higher image row the farther one (a tie is half wrong).
        depth: Errors against the depth maps; None if depth is not evaluated.
        images: Images of the first batch, `[n, H, W, 3]`, uint8.
        predictions: Predictions for those images, `[n, H, W, 1]`.
        references: True depth of those images or the teacher's, `[n, H, W, 1]`; None if neither is known.
    """

    wrong_pairs: np.ndarray
    pairs: np.ndarray
    row_wrong: float
    depth: DepthErrors | None
    images: np.ndarray
    predictions: np.ndarray
    references: np.ndarray | None

    @property
    def wrong(self) -> int:
        """Number of pairs ordered wrongly."""
        return int(self.wrong_pairs.sum())

    @property
    def total(self) -> int:
        """Number of pairs."""
        return int(self.pairs.sum())

    @property
    def scores(self) -> dict[str, float]:
        """Scores by name: `whdr` if there are pairs; those of `depth` if there are depth maps."""
        scores = {"whdr": self.whdr} if self.total else {}
        return scores | self.depth.scores if self.depth is not None and self.maps else scores

    @property
    def maps(self) -> int:
        """Number of depth maps that were compared."""
        return 0 if self.depth is None else int((self.depth.pixels > 0).sum())

    @property
    def whdr(self) -> float:
        """Share of wrong pairs, 0 to 1."""
        return self.wrong / self.total

    @property
    def row_whdr(self) -> float:
        """WHDR of the row baseline."""
        return self.row_wrong / self.total

    @property
    def interval(self) -> float | None:
        """Half of the 95 % confidence interval of WHDR, by the bootstrap over images; None for fewer than two."""
        half = metrics.whdr_interval(self.wrong_pairs, self.pairs)
        return None if math.isnan(half) else half


def evaluate(
    eval_step: Callable[[Arrays], Arrays],
    held_out: EvalSet,
    mesh: Mesh,
    *,
    log: float = 0.0,
    align: str = "none",
    has_ratio: bool = False,
) -> Evaluation:
    """Scores a network on a validation or test set, counting every pair and every pixel once.

    Args:
        eval_step: Function from a batch on the devices to the scores of `step.score_pairs`.
        held_out: Images with their pairs and depth maps, at whose sizes predictions are compared.
        mesh: Devices.
        log: Factor of the logarithm of depth that the network predicts; 0 if it predicts depth itself.
        align: Alignment of each prediction before it is compared, one of `ALIGNMENTS`: "nyu" to the mean and deviation
            of depth in NYUv2; "affine" and "disparity" to the depth map itself, see `metrics.align_affine` and
            `metrics.align_disparity`, for the errors of `metrics.ImageErrors`. For these a map with fewer than two
            known pixels does not count.
        has_ratio: Whether predicted depth is right up to a factor, as any depth from a logarithm is: for "disparity"
            its inverse is fitted. Relative depth is fitted as it is.
    """
    if held_out.depth_batches is not None:
        middle = held_out._replace(batches=held_out.depth_batches, depth_batches=None)
        in_middle = evaluate(eval_step, middle, mesh, log=log, align=align, has_ratio=has_ratio)
        whole = evaluate(eval_step, held_out._replace(truths=None, depth_batches=None), mesh)
        return whole._replace(depth=in_middle.depth)
    truths = held_out.truths and held_out.truths()
    counts: list[np.ndarray] = []
    row_wrong = 0.0
    compared: list[DepthErrors] = []
    first: tuple[Any, np.ndarray] | None = None
    for batch in held_out.batches():
        arrays = {key: batch[key] for key in ("image", "points", "relation", "valid", "image_size")}
        result = eval_step(shard_batch(arrays, mesh))
        counts.append(np.stack([local_rows(result[name]) for name in ("wrong", "total")]))
        row_wrong += float(result["row_wrong"])
        predictions = local_rows(result["depth"])
        if truths is not None:
            rows = zip(predictions, itertools.islice(truths, len(predictions)), strict=True)
            compared += [_compare(prediction[..., 0], truth, log, align, has_ratio) for prediction, truth in rows]
        first = first or (batch, predictions)
    assert first is not None, "the pipeline refuses an empty data set"
    batch, predictions = first
    wrong, total = np.concatenate(counts, axis=1)
    kind: Any = metrics.ImageErrors if align in FITS else metrics.DenseSums
    dense: DepthErrors | None = kind.concatenate(compared) if truths is not None else None
    if jax.process_count() > 1:
        wrong, total, dense = multihost_utils.process_allgather((wrong, total, dense), tiled=True)
    references = batch.get("depth", batch.get("teacher_depth"))
    return Evaluation(wrong, total, row_wrong, dense, batch["image"], predictions, references)


def _compare(prediction: np.ndarray, truth: np.ndarray | None, log: float, align: str, has_ratio: bool) -> DepthErrors:
    """Compares one prediction with its true map `[h, w]`, NaN where unknown, at the size of the map; None: no pixel."""
    truth = np.full((1, 1), np.nan, np.float32) if truth is None else truth
    maps = [values[None, ..., None] for values in (resize_map(prediction, *truth.shape), truth)]
    if align in FITS:
        return _score_fit(*maps, log=log, align=align, has_ratio=has_ratio)
    return jax.device_get(_score(*map(jnp.asarray, maps), log=log, align=align))


@partial(jax.jit, static_argnames=("log", "align"))
def _score(prediction: Map, truth: Map, *, log: float, align: str) -> metrics.DenseSums:
    depth = jnp.exp(prediction / log) if log else prediction
    return metrics.dense_sums(metrics.align_to_nyu(depth) if align == "nyu" else depth, truth)


def _score_fit(
    prediction: np.ndarray, truth: np.ndarray, *, log: float, align: str, has_ratio: bool
) -> metrics.ImageErrors:
    """Fits a prediction to its true map, and compares them in double precision."""
    depth = prediction.astype(np.float64)
    if log:
        depth = np.exp(depth / log)
    if align == "disparity" and (log or has_ratio):
        depth = 1 / np.maximum(depth, metrics.SMALLEST_DEPTH)
    if np.count_nonzero(truth > 0) < 2:
        truth = np.full_like(truth, np.nan)
    return metrics.image_errors(FITS[align](depth, truth), truth)
