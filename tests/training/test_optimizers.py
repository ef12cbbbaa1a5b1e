import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdepth_jax.training.config import overlay
from mdepth_jax.training.optimizers import OPTIMIZERS, ORDERS, make_balancer, make_optimizer, make_schedule

pytestmark = pytest.mark.usefixtures("optax_promotes")


@pytest.fixture
def config():
    return overlay(optim={"learning_rate": 1e-3}, train={"epochs": 2})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_takes(config, name):
    """Every optimizer lowers a loss, given the gradients that its entry asks for and no others."""
    config.optim.optimizer, config.rebalance.order = name, "off"
    weights = {"one": 0.5, "other": 0.5}
    optimizer = make_optimizer(config, weights, optax.constant_schedule(0.1), 4)
    params = {"w": jnp.float32(2.0)}
    losses = dict.fromkeys(weights, jnp.float32(1))
    extra = {"loss_gradients": dict.fromkeys(weights, params)} if OPTIMIZERS[name].takes_loss_gradients else {}
    updates, state = optimizer.update(params, optimizer.init(params), params, losses=losses, **extra)
    assert updates["w"] < 0
    assert state["rebalance"].weights == weights


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_read_by_those_that_have_it(config, name, decay):
    config.optim.optimizer, config.optim.weight_decay = name, decay
    optimizer = make_optimizer(config, {"l1": 1.0}, optax.constant_schedule(0.1), 4)
    params, gradient = {"w": jnp.float32(2.0)}, {"w": jnp.float32(0.0)}
    losses = {"l1": jnp.float32(1)}
    updates, _ = optimizer.update(
        gradient, optimizer.init(params), params, losses=losses, loss_gradients={"l1": gradient}
    )
    assert bool(updates["w"] < 0) == (("weight_decay" in OPTIMIZERS[name].reads) and decay > 0)


@pytest.mark.parametrize("order", ORDERS)
def test_orders_move_the_weights_their_way(config, order):
    """The loss that falls fast is the easy one; in the first of two epochs hard to easy lowers its weight."""
    config.rebalance.update({"order": order, "events_per_epoch": 1, "strength": 1.0})
    balancer = make_balancer(config, {"easy": 0.5, "hard": 0.5}, steps_per_epoch=1)
    state = balancer.init({})
    for easy in (1.0, 0.5):
        _, state = balancer.update({}, state, losses={"easy": jnp.float32(easy), "hard": jnp.float32(1.0)})
    strength = ORDERS[order](2, 1.0)
    sign = np.sign(strength(1) if callable(strength) else strength)
    assert np.sign(float(state.weights["easy"]) - 0.5) == sign


def test_schedules(config):
    halved = make_schedule(config.optim, 10, 5)
    assert [float(halved(step)) for step in (0, 9, 10, 25, 49)] == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4, 6.25e-5])
    config.optim.schedule, config.optim.warmup_epochs = "cosine", 1.0
    cosine = make_schedule(config.optim, 10, 5)
    assert [float(cosine(step)) for step in (0, 5, 10, 30, 50)] == pytest.approx([0, 5e-4, 1e-3, 5e-4, 0], abs=1e-9)


def test_sgd_decays_weights_before_the_momentum(config):
    config.optim.optimizer, config.optim.momentum, config.optim.weight_decay = "sgd", 0.9, 0.1
    optimizer = make_optimizer(config, {"l1": 1.0}, optax.constant_schedule(0.5), 4)
    params = {"w": jnp.float32(2.0)}
    state, velocity, expected = optimizer.init(params), 0.0, 2.0
    for gradient in (1.0, -3.0):
        updates, state = optimizer.update({"w": jnp.float32(gradient)}, state, params, losses={"l1": jnp.float32(1)})
        params = optax.apply_updates(params, updates)
        velocity = 0.9 * velocity + gradient + 0.1 * expected
        expected -= 0.5 * velocity
        np.testing.assert_allclose(params["w"], expected, rtol=1e-6)
