import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.losses import hinge_discriminator_loss, hinge_generator_loss


@pytest.mark.parametrize("number", [0, 1])
def test_golden(golden, number):
    case = golden("discriminator")[number]
    real, fake = jnp.asarray(case["D_T"]), jnp.asarray(case["D_S"])
    loss, (grad_real, grad_fake) = jax.value_and_grad(hinge_discriminator_loss, argnums=(0, 1))(real, fake)
    np.testing.assert_allclose(loss, case["d_loss"], rtol=2e-5)
    np.testing.assert_allclose(grad_real, case["d_grad_T"], rtol=2e-5)
    np.testing.assert_allclose(grad_fake, case["d_grad_S"], rtol=2e-5)
    loss, gradient = jax.value_and_grad(hinge_generator_loss)(fake)
    np.testing.assert_allclose(loss, case["g_loss"], rtol=2e-5)
    np.testing.assert_allclose(gradient, case["g_grad_S"], rtol=2e-5)


def test_matches_numpy():
    real, fake = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    expected = np.maximum(1 - real, 0).mean() + np.maximum(1 + fake, 0).mean()
    np.testing.assert_allclose(hinge_discriminator_loss(jnp.asarray(real), jnp.asarray(fake)), expected, rtol=1e-6)
    np.testing.assert_allclose(hinge_generator_loss(jnp.asarray(fake)), -fake.mean(), rtol=1e-6)


def test_judged_beyond_the_margin_costs_nothing():
    loss, gradients = jax.value_and_grad(hinge_discriminator_loss, argnums=(0, 1))(jnp.full(3, 1.5), jnp.full(3, -1.5))
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients)


def test_bfloat16_scores_give_float32_losses():
    scores = jnp.ones((2, 1), jnp.bfloat16)
    assert hinge_discriminator_loss(scores, scores).dtype == jnp.float32
    assert hinge_generator_loss(scores).dtype == jnp.float32
