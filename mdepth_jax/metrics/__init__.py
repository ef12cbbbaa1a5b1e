"""Metrics of depth: WHDR on ordinal pairs; RMSE, delta1 and SI-RMSE on dense depth maps; alignment to metric depth."""

from mdepth_jax.metrics.alignment import align_to_nyu
from mdepth_jax.metrics.dense import DenseSums, delta1, dense_sums, rmse, si_rmse
from mdepth_jax.metrics.ordinal import row_baseline_wrong, whdr, whdr_counts, whdr_interval, wrong_pairs

__all__ = [
    "DenseSums",
    "align_to_nyu",
    "delta1",
    "dense_sums",
    "rmse",
    "row_baseline_wrong",
    "si_rmse",
    "whdr",
    "whdr_counts",
    "whdr_interval",
    "wrong_pairs",
]
