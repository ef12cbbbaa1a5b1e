"""Metrics of depth: WHDR on ordinal pairs; errors of dense depth maps; alignment of relative to metric depth."""

from mdepth_jax.metrics.alignment import align_to_nyu
from mdepth_jax.metrics.dense import SMALLEST_DEPTH, DenseSums, delta1, dense_sums, rmse, si_rmse
from mdepth_jax.metrics.ordinal import row_baseline_wrong, whdr, whdr_counts, whdr_interval, wrong_pairs
from mdepth_jax.metrics.zero_shot import ImageErrors, abs_rel, align_affine, align_disparity, image_errors

__all__ = [
    "SMALLEST_DEPTH",
    "DenseSums",
    "ImageErrors",
    "abs_rel",
    "align_affine",
    "align_disparity",
    "align_to_nyu",
    "delta1",
    "dense_sums",
    "image_errors",
    "rmse",
    "row_baseline_wrong",
    "si_rmse",
    "whdr",
    "whdr_counts",
    "whdr_interval",
    "wrong_pairs",
]
