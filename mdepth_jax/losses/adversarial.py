"""Hinge losses of a discriminator and of the network whose depth it scores."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def hinge_discriminator_loss(real: Float[Array, "*real"], fake: Float[Array, "*fake"]) -> Float[Array, ""]:
    """Computes the hinge loss of the discriminator (Sec. 4.3.1, holistic term; Liu et al. 2020).

        loss = mean(max(0, 1 - D(real))) + mean(max(0, 1 + D(fake)))

    It is 0 where all scores are above 1 for real pairs and below -1 for fake ones.

    Args:
        real: Scores of images with the teacher's (or the true) depth, unbounded.
        fake: Scores of images with the student's depth, unbounded.

    Returns:
        The loss in at least float32, 0 or more.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import hinge_discriminator_loss
        >>> print(f"{hinge_discriminator_loss(real=jnp.float32([2.0, 0.5]), fake=jnp.float32([-0.5])):.2f}")
        0.75

    References:
        Liu et al., "Structured Knowledge Distillation for Dense Prediction", TPAMI 2020. Code:
        irfanICMLL/structure_knowledge_distillation, `utils/criterion.py`, `CriterionAdv`.
    """
    return jnp.mean(jax.nn.relu(1 - _promote(real))) + jnp.mean(jax.nn.relu(1 + _promote(fake)))


def hinge_generator_loss(fake: Float[Array, "*fake"]) -> Float[Array, ""]:
    """Computes the adversarial loss of the student, `-mean(D(fake))` (Sec. 4.3.1, holistic term; Liu et al. 2020).

    The paper gives it the weight 0.05.

    Args:
        fake: Scores of images with the student's depth, unbounded.

    Returns:
        The loss in at least float32; unbounded, mostly -1 to 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.losses import hinge_generator_loss
        >>> print(f"{hinge_generator_loss(jnp.float32([0.5, -1.0])):.2f}")
        0.25

    References:
        Liu et al., "Structured Knowledge Distillation for Dense Prediction", TPAMI 2020. Code:
        irfanICMLL/structure_knowledge_distillation, `utils/criterion.py`, `CriterionAdvForG`.
    """
    return -jnp.mean(_promote(fake))


def _promote(scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return scores.astype(np.promote_types(scores.dtype, np.float32))
