"""Losses: pure functions of arrays, finite at edge cases."""

from mdepth_jax.losses.adversarial import hinge_discriminator_loss, hinge_generator_loss
from mdepth_jax.losses.affine_invariant import affine_invariant_loss, gradient_matching_loss
from mdepth_jax.losses.auxiliary import auxiliary_loss, auxiliary_weights
from mdepth_jax.losses.dense import l1_loss, rmse_loss
from mdepth_jax.losses.distillation import pairwise_loss
from mdepth_jax.losses.mannequin import (
    mannequin_loss,
    multiscale_gradient_loss,
    multiscale_smoothness_loss,
    scale_invariant_loss,
)
from mdepth_jax.losses.ranking import improved_ranking_loss, ranking_loss

__all__ = [
    "affine_invariant_loss",
    "auxiliary_loss",
    "auxiliary_weights",
    "gradient_matching_loss",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "improved_ranking_loss",
    "l1_loss",
    "mannequin_loss",
    "multiscale_gradient_loss",
    "multiscale_smoothness_loss",
    "pairwise_loss",
    "ranking_loss",
    "rmse_loss",
    "scale_invariant_loss",
]
