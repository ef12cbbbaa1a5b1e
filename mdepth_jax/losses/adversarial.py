"""Hinge losses between a discriminator and the network that it judges."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def hinge_discriminator_loss(real: Float[Array, "*real"], fake: Float[Array, "*fake"]) -> Float[Array, ""]:
    """Asks for scores above 1 of real and below -1 of fake pairs (Sec. 4.2, holistic; Liu et al. 2020).

    Args:
        real: Scores of images with the teacher's (or the true) depth, unbounded.
        fake: Scores of images with the student's depth.

    Returns:
        mean(max(0, 1 - real)) + mean(max(0, 1 + fake)), in at least float32.
    """
    return jnp.mean(jax.nn.relu(1 - _promote(real))) + jnp.mean(jax.nn.relu(1 + _promote(fake)))


def hinge_generator_loss(fake: Float[Array, "*fake"]) -> Float[Array, ""]:
    """Asks for high scores of the student's depth; the paper weighs this with 0.05.

    Args:
        fake: Scores of images with the student's depth.

    Returns:
        -mean(fake), in at least float32; unbounded, mostly -1 to 1.
    """
    return -jnp.mean(_promote(fake))


def _promote(scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return scores.astype(np.promote_types(scores.dtype, np.float32))
