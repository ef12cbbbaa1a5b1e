import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import (
    mannequin_loss,
    multiscale_gradient_loss,
    multiscale_smoothness_loss,
    scale_invariant_loss,
)

data = jax.jit(jax.value_and_grad(scale_invariant_loss))
gradient = jax.jit(jax.value_and_grad(multiscale_gradient_loss), static_argnames="scales")
first = jax.jit(jax.value_and_grad(multiscale_smoothness_loss), static_argnames="scales")
second = jax.jit(jax.value_and_grad(functools.partial(multiscale_smoothness_loss, order=2)), static_argnames="scales")
mannequin = jax.jit(jax.value_and_grad(mannequin_loss), static_argnames=("a1", "a2"))


def from_golden(case):
    """Prediction, target, mask and image; all are in the precision of the results."""
    dtype = case["data"].dtype
    maps = case["log_pred"], np.log(case["depth_gt"]), case["gt_mask"] > 0.5
    prediction, target, valid = (jnp.asarray(array)[..., None] for array in maps)
    image = jnp.asarray(np.moveaxis(case["image"], 1, -1), dtype)
    return prediction.astype(dtype), target.astype(dtype), valid, image


def random_maps(height=13, width=10, batch=2):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, batch, height, width, 1)).astype(np.float32)
    valid = rng.random(target.shape) < 0.7
    image = rng.random((batch, height, width, 3)).astype(np.float32)
    return prediction, np.where(valid, target, np.nan), valid, image


def loop_gradient(prediction, target, valid, scales):
    total = 0.0
    for scale in range(scales):
        step = 2**scale
        costs = []
        for p, t, v in zip(prediction[..., 0], target[..., 0], valid[..., 0], strict=True):
            error, v = (p.astype(np.float64) - t)[::step, ::step], v[::step, ::step]
            for y, x in np.ndindex(v.shape):
                for other in ((y + 2, x), (y, x + 2)):
                    if other[0] < v.shape[0] and other[1] < v.shape[1] and v[y, x] and v[other]:
                        costs.append(abs(error[y, x] - error[other]))
        total += np.sum(costs) / max(len(costs), 1)
    return total


def loop_smoothness(prediction, image, order, scales):
    total = 0.0
    for scale in range(scales):
        costs = []
        for p, color in zip(prediction[..., 0].astype(np.float64), image.astype(np.float64), strict=True):
            p, color = p[:: 2**scale, :: 2**scale], color[:: 2**scale, :: 2**scale]
            height, width = p.shape

            def cost(change, p=p, color=color):
                return abs(change(p)) * np.exp(-np.abs(change(color)).mean())

            if order == 1:
                costs += [
                    cost(lambda a: a[y, x + 1] - a[y, x]) + cost(lambda a: a[y + 1, x] - a[y, x])  # noqa: B023
                    for y in range(height - 1)
                    for x in range(width - 1)
                ]
            else:
                costs += [
                    cost(lambda a: 4 * a[y, x] - a[y - 1, x] - a[y + 1, x] - a[y, x - 1] - a[y, x + 1])  # noqa: B023
                    for y in range(1, height - 1)
                    for x in range(1, width - 1)
                ]
        total += 0.5**scale * np.sum(costs) / max(len(costs), 1)
    return total


def test_golden_float64(golden, x64):
    case = golden("mannequin_losses")[0]
    prediction, target, valid, image = from_golden(case)
    for name, (loss, grad) in {
        "data": data(prediction, target, valid),
        "grad5": gradient(prediction, target, valid),
        "sm1_3scales": first(prediction, image),
        "sm2_3scales": second(prediction, image),
    }.items():
        np.testing.assert_allclose(loss, case[name], rtol=1e-9)
        np.testing.assert_allclose(grad[..., 0], case[f"grad_{name}"], rtol=1e-9, atol=1e-12)


def test_golden_float32(golden):
    case = golden("mannequin_losses")[1]
    prediction, target, valid, image = from_golden(case)
    assert prediction.dtype == jnp.float32
    np.testing.assert_allclose(data(prediction, target, valid)[0], case["data"], rtol=1e-4)
    np.testing.assert_allclose(gradient(prediction, target, valid)[0], case["grad5"], rtol=1e-4)
    np.testing.assert_allclose(first(prediction, image)[0], case["sm1_3scales"], rtol=1e-4)
    np.testing.assert_allclose(second(prediction, image)[0], case["sm2_3scales"], rtol=1e-4)


def test_variance_matches_numpy():
    prediction, target, valid, _ = random_maps()
    variances = [np.var((p - t)[v].astype(np.float64)) for p, t, v in zip(prediction, target, valid, strict=True)]
    np.testing.assert_allclose(data(prediction, target, valid)[0], np.mean(variances), rtol=1e-5)


def test_variance_is_never_negative():
    """Of constant errors the original's difference of squares is rounding, of either sign."""
    _, target, valid, _ = random_maps()
    for error in np.linspace(1, 9, 20).astype(np.float32):
        loss, grad = data(np.full_like(target, error), np.zeros_like(target), valid)
        assert 0 <= loss < 1e-5 * error**2
        assert np.abs(grad).max() < 1e-6


@pytest.mark.parametrize("scales", [1, 5])
def test_gradient_matches_a_loop(scales):
    prediction, target, valid, _ = random_maps()
    expected = loop_gradient(prediction, target, valid, scales)
    np.testing.assert_allclose(gradient(prediction, target, valid, scales=scales)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("scales", [1, 4])
def test_smoothness_matches_a_loop(scales):
    prediction, _, _, image = random_maps()
    for order, loss in ((1, first), (2, second)):
        expected = loop_smoothness(prediction, image, order, scales)
        np.testing.assert_allclose(loss(prediction, image, scales=scales)[0], expected, rtol=1e-5)


def test_mannequin_is_the_weighted_sum():
    prediction, target, valid, image = random_maps()
    expected = (
        data(prediction, target, valid)[0]
        + 0.5 * gradient(prediction, target, valid)[0]
        + 0.05 * (first(prediction, image)[0] + second(prediction, image)[0])
    )
    np.testing.assert_allclose(mannequin(prediction, target, image, valid)[0], expected, rtol=1e-6)
    data_only, _ = mannequin(prediction, target, image, valid, a1=0.0, a2=0.0)
    np.testing.assert_allclose(data_only, data(prediction, target, valid)[0], rtol=1e-6)


def test_a_factor_on_the_depth_costs_nothing():
    prediction, _, valid, _ = random_maps()
    shifted = np.where(valid, prediction + 0.5, np.nan)
    assert data(prediction, shifted, valid)[0] < 1e-8
    assert gradient(prediction, shifted, valid)[0] < 1e-5


def test_constant_depth_is_smooth():
    _, _, _, image = random_maps()
    constant = np.full((*image.shape[:3], 1), 0.3, np.float32)
    for loss, grad in (first(constant, image), second(constant, image)):
        assert loss == 0
        assert not grad.any()


def test_no_valid_pixel_leaves_the_smoothness():
    prediction, target, valid, image = random_maps()
    loss, grad = mannequin(prediction, np.full_like(target, np.nan), image, np.zeros_like(valid))
    smoothness = first(prediction, image)[0] + second(prediction, image)[0]
    np.testing.assert_allclose(loss, 0.05 * smoothness, rtol=1e-6)
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 3)])
def test_tiny_images_are_finite(size):
    prediction, target, valid, image = random_maps(*size)
    loss, grad = mannequin(prediction, target, image, valid)
    assert np.isfinite(loss)
    assert np.isfinite(grad).all()
    expected = loop_gradient(prediction, target, valid, 5)
    np.testing.assert_allclose(gradient(prediction, target, valid)[0], expected, rtol=1e-5)


def test_bfloat16_prediction_gives_a_float32_loss():
    prediction, target, valid, image = map(jnp.asarray, random_maps(4, 4))
    shape = jax.eval_shape(mannequin_loss, prediction.astype(jnp.bfloat16), target, image, valid)
    assert shape.dtype == jnp.float32


def test_rejects_another_order():
    prediction, _, _, image = map(jnp.asarray, random_maps())
    with pytest.raises(ValueError, match="`order` must be 1 or 2, got 3"):
        multiscale_smoothness_loss(prediction, image, order=3)


def test_two_devices_give_the_result_of_one():
    prediction, target, valid, image = random_maps()
    maps = prediction, target, image, valid
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(maps, NamedSharding(mesh, PartitionSpec("data")))
    for one, two in zip(mannequin(*maps), mannequin(*sharded), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("shifted", ["target", "prediction"])
def test_a_factor_on_the_depth_of_an_image_changes_nothing(shifted):
    """The paper's "depth normalization" (Sec. 4.1), which divides depth by a number of its image, is void.

    It adds a constant to log depth. Data and gradient term see differences of R alone, and the smoothness term
    differences of the prediction.
    """
    prediction, target, valid, image = random_maps(height=40, width=36)
    constants = np.log(np.float32([0.02, 30])).reshape(2, 1, 1, 1)
    expected, gradients = mannequin(prediction, target, image, valid)
    moved = {"prediction": prediction, "target": target}
    moved[shifted] = moved[shifted] + constants
    loss, others = mannequin(moved["prediction"], moved["target"], image, valid)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(others, gradients, atol=1e-5 * np.abs(gradients).max() + 1e-6)
    scaled, _ = mannequin(prediction, 2 * target, image, valid)  # another power of depth is another target
    assert abs(scaled - expected) > 0.1
