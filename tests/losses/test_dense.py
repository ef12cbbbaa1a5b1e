import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import l1_loss, rmse_loss

value_and_grad = jax.jit(jax.value_and_grad(rmse_loss))
l1_value_and_grad = jax.jit(jax.value_and_grad(l1_loss))
BOTH = pytest.mark.parametrize("value_and_grad", [value_and_grad, l1_value_and_grad], ids=["rmse", "l1"])


def random_maps(batch=2):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, batch, 5, 7, 1)).astype(np.float32)
    return prediction, target, rng.random(target.shape) < 0.6


def test_matches_numpy():
    prediction, target, valid = random_maps()
    loss, gradient = value_and_grad(*map(jnp.asarray, (prediction, target, valid)))
    error = np.where(valid, prediction.astype(np.float64) - target, 0)
    expected = np.sqrt(np.sum(error**2) / valid.sum())
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, error / (expected * valid.sum()), rtol=1e-5, atol=1e-9)


def test_l1_matches_numpy():
    prediction, target, valid = random_maps()
    loss, gradient = l1_value_and_grad(*map(jnp.asarray, (prediction, target, valid)))
    error = np.where(valid, prediction.astype(np.float64) - target, 0)
    np.testing.assert_allclose(loss, np.sum(np.abs(error)) / valid.sum(), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.sign(error) / valid.sum(), rtol=1e-6)


def test_all_pixels_are_valid_by_default():
    prediction, target, _ = map(jnp.asarray, random_maps())
    np.testing.assert_allclose(rmse_loss(prediction, target), jnp.sqrt(jnp.mean((prediction - target) ** 2)), rtol=1e-6)
    np.testing.assert_allclose(l1_loss(prediction, target), jnp.mean(jnp.abs(prediction - target)), rtol=1e-6)


@BOTH
def test_unknown_targets_do_not_spread(value_and_grad):
    prediction, target, valid = random_maps()
    known = value_and_grad(*map(jnp.asarray, (prediction, target, valid)))
    target = np.where(valid, target, np.nan)
    unknown = value_and_grad(*map(jnp.asarray, (prediction, target, valid)))
    jax.tree.map(np.testing.assert_array_equal, known, unknown)


@pytest.mark.parametrize("is_valid", [True, False], ids=["no error", "no valid pixel"])
@BOTH
def test_is_zero_with_gradient_zero(value_and_grad, is_valid):
    maps = jnp.ones((1, 2, 3, 1))
    target = maps if is_valid else jnp.full(maps.shape, jnp.nan)
    loss, gradient = value_and_grad(maps, target, jnp.full(maps.shape, is_valid))
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


@BOTH
def test_one_pixel(value_and_grad):
    loss, gradient = value_and_grad(jnp.full((1, 1, 1, 1), 3.0), jnp.full((1, 1, 1, 1), 5.0))
    assert loss == 2
    assert gradient == -1


def test_bfloat16_prediction_gives_a_float32_loss():
    prediction, target, valid = map(jnp.asarray, random_maps())
    for loss in (rmse_loss, l1_loss):
        assert loss(prediction.astype(jnp.bfloat16), target, valid).dtype == jnp.float32


def test_float64_stays_float64(x64):
    prediction, target, valid = random_maps()
    assert rmse_loss(*map(jnp.asarray, (prediction.astype(np.float64), target, valid))).dtype == jnp.float64


@BOTH
def test_two_devices_give_the_result_of_one(value_and_grad):
    maps = random_maps()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(maps, NamedSharding(mesh, PartitionSpec("data")))
    for one, two in zip(value_and_grad(*maps), value_and_grad(*sharded), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)
