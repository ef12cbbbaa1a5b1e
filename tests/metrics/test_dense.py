import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax import metrics
from mdepth_jax.metrics import DenseSums, dense_sums

jitted_sums = jax.jit(dense_sums)


def random_maps(batch=4, height=9, width=7):
    """Depth in metres with unknown pixels, and predictions of which some are not positive."""
    rng = np.random.default_rng(0)
    target = rng.uniform(0.5, 9, (batch, height, width, 1)).astype(np.float32)
    prediction = (target * rng.uniform(0.6, 1.7, target.shape)).astype(np.float32)
    prediction[rng.random(target.shape) < 0.1] = -0.5
    target[rng.random(target.shape) < 0.1] = np.nan
    target[rng.random(target.shape) < 0.1] = 0
    return prediction, target, rng.random(target.shape) < 0.7


def loop_metrics(images):
    """RMSE, delta1 and SI-RMSE of (prediction, target, valid) of any sizes, pixel by pixel."""
    squares, within, si = [], [], []
    for prediction, target, valid in images:
        logs = []
        for p, t, v in zip(*(array.ravel().tolist() for array in (prediction, target, valid)), strict=True):
            if v and t > 0:
                squares.append((p - t) ** 2)
                within.append(p > 0 and max(p / t, t / p) < 1.25)
                logs.append(np.log(max(p, 1e-3)) - np.log(t))
        if logs:
            si.append(np.sqrt(2 * np.var(logs)))
    return [np.sqrt(np.mean(squares)), np.mean(within), np.mean(si)]


def values(sums):
    return [sums.rmse, sums.delta1, sums.si_rmse]


def test_golden_si_rmse(golden, x64):
    case = golden("mannequin_losses")[0]
    prediction, target = jnp.exp(case["log_pred"])[..., None], jnp.asarray(case["depth_gt"])[..., None]
    valid = jnp.asarray(case["gt_mask"] > 0.5)[..., None]
    sums = jitted_sums(prediction, target, valid)
    np.testing.assert_allclose(sums.scale_invariant_error, case["si_rmse_full_per_image"], rtol=1e-9)
    assert sums.pixels[0] == 0  # This image is masked, and no part of the mean; the original's takes it for a 0.
    np.testing.assert_allclose(sums.si_rmse, case["si_rmse_full_per_image"][1:].mean(), rtol=1e-9)


def test_dense_metrics_match_a_loop():
    maps = random_maps()
    expected = loop_metrics(zip(*maps, strict=True))
    np.testing.assert_allclose(values(jitted_sums(*maps)), expected, rtol=1e-5)
    wrappers = metrics.rmse, metrics.delta1, metrics.si_rmse
    found = jax.jit(lambda *maps: [metric(*maps) for metric in wrappers])(*maps)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert all(value.dtype == jnp.float32 for value in found)


def test_ragged_images_in_any_batches_are_the_same_set():
    """Padded to one size, alone at their own sizes, or split over batches."""
    prediction, target, valid = random_maps()
    sizes = [(9, 7), (5, 7), (9, 2), (1, 1)]
    rows, columns = np.mgrid[:9, :7]
    valid = valid & np.stack([(rows < height) & (columns < width) for height, width in sizes])[..., None]
    maps = prediction, target, valid
    own_size = [
        [array[:height, :width] for array in image]
        for image, (height, width) in zip(zip(*maps, strict=True), sizes, strict=True)
    ]
    expected = loop_metrics(own_size)
    whole = DenseSums.concatenate([jitted_sums(*maps)])
    halves = DenseSums.concatenate([jitted_sums(*(array[part] for array in maps)) for part in (slice(2), slice(2, 4))])
    alone = DenseSums.concatenate([dense_sums(*(jnp.asarray(array)[None] for array in image)) for image in own_size])
    assert values(whole) == values(halves)
    for sums in (whole, alone):
        np.testing.assert_allclose(values(sums), expected, rtol=1e-6)
    np.testing.assert_array_equal(alone.pixels, whole.pixels)
    np.testing.assert_array_equal(alone.within, whole.within)


def test_a_set_is_added_up_in_double_precision():
    images = 2**14 + 1
    full = np.full(images, 2**20, np.int32)
    sums = DenseSums(full, np.full(images, 0.1, np.float32), full - 1, np.full(images, 0.1, np.float32))
    assert sums.delta1 == (2**20 - 1) / 2**20
    np.testing.assert_allclose(sums.rmse, np.sqrt(np.float64(np.float32(0.1)) / 2**20), rtol=1e-12)
    np.testing.assert_allclose(sums.si_rmse, np.float32(0.1), rtol=1e-12)


def test_a_single_valid_pixel_is_a_set():
    prediction, target, valid = (
        jnp.asarray(values).reshape(1, 1, 2, 1) for values in ([3.0, 9], [5.0, 1], [True, False])
    )
    assert values(jitted_sums(prediction, target, valid)) == [2, 0, 0]
    assert values(jitted_sums(target, target, valid)) == [0, 1, 0]


@pytest.mark.parametrize("known", [False, True], ids=["masked", "unknown"])
def test_no_valid_pixel_gives_zeros(known):
    prediction, target, valid = random_maps()
    sums = jitted_sums(prediction, target if known else np.full_like(target, np.nan), valid & (not known))
    assert values(sums) == [0, 0, 0]


def test_delta1_at_its_borders():
    target = jnp.full((1, 1, 6, 1), 4.0)
    prediction = jnp.array([4, 4.99, 5, 3.21, 3.2, -4]).reshape(target.shape)
    assert jitted_sums(prediction, target).within == 3
    assert jitted_sums(jnp.full_like(target, jnp.nan), target).within == 0


def test_a_factor_does_not_change_si_rmse():
    _, target, valid = random_maps()
    assert jitted_sums(np.float32(3) * target, target, valid).si_rmse < 1e-3
    assert jitted_sums(target, target, valid).si_rmse == 0


def test_two_devices_give_the_dense_metrics_of_one():
    maps = random_maps()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(maps, NamedSharding(mesh, PartitionSpec("data")))
    one, two = (DenseSums.concatenate([jitted_sums(*m)]) for m in (maps, sharded))
    assert values(one) == values(two)
