import jax
import jax.numpy as jnp
import pytest

from mdepth_jax.losses import auxiliary_loss, auxiliary_weights


def test_is_the_weighted_sum():
    losses = [jnp.float32(2), jnp.float32(3), jnp.float32(5)]
    assert auxiliary_loss(losses, (0.5, 0.25, 0.25)) == 3
    assert jax.grad(lambda losses: auxiliary_loss(losses, (0.5, 0.25, 0.25)))(losses) == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("weights", [(), (1.0,), (0.5, 0.25, 0.25)])
def test_rejects_another_number_of_weights(weights):
    with pytest.raises(ValueError, match=f"2 losses, {len(weights)} weights"):
        auxiliary_loss([jnp.float32(1), jnp.float32(1)], weights)


def test_rejects_no_losses():
    with pytest.raises(ValueError, match="0 losses"):
        auxiliary_loss([], ())


def test_weights_of_the_paper():
    assert [auxiliary_weights(heads) for heads in range(3)] == [(1.0,), (0.5, 0.5), (0.5, 0.25, 0.25)]


def test_rejects_other_numbers_of_heads():
    with pytest.raises(ValueError, match="0, 1 or 2, got 3"):
        auxiliary_weights(3)
