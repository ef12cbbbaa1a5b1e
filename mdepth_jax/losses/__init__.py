"""Losses: pure functions of arrays, finite at edge cases."""

from mdepth_jax.losses.auxiliary import auxiliary_loss, auxiliary_weights
from mdepth_jax.losses.dense import rmse_loss
from mdepth_jax.losses.distillation import pairwise_loss
from mdepth_jax.losses.ranking import ranking_loss

__all__ = ["auxiliary_loss", "auxiliary_weights", "pairwise_loss", "ranking_loss", "rmse_loss"]
