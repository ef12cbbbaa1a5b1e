import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax import metrics
from mdepth_jax.metrics import DenseSums, align_to_nyu, dense_sums, row_baseline_wrong, whdr, whdr_counts

jitted_counts = jax.jit(whdr_counts, static_argnames="threshold")
jitted_whdr = jax.jit(whdr)
jitted_sums = jax.jit(dense_sums)
jitted_align = jax.jit(align_to_nyu)


def from_golden(case):
    points = case["target"][:4].T.reshape(1, -1, 2, 2)
    depth = case["depth"].reshape(1, *case["depth"].shape[2:], 1)
    return tuple(map(jnp.asarray, (depth, points, case["target"][None, 4], case["target_res"][None])))


def random_batch(batch=4, pairs=20):
    """Images of different sizes, with padding that points outside of them."""
    rng = np.random.default_rng(0)
    depth = rng.normal(size=(batch, 14, 28, 1)).astype(np.float32)
    image_size = rng.integers(5, 60, (batch, 2))
    points = rng.integers(0, image_size[:, None, None], size=(batch, pairs, 2, 2))
    valid = rng.random((batch, pairs)) < 0.7
    points[~valid] = 1000
    return depth, points, rng.integers(-1, 2, (batch, pairs)), image_size, valid


def resize(image, size):
    """Bilinear, half-pixel centers, edges repeated, in double precision."""

    def weights(old, new):
        centers = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        return np.maximum(0, 1 - np.abs(centers[:, None] - np.arange(old)))

    height, width = image.shape
    return weights(height, size[0]) @ image.astype(np.float64) @ weights(width, size[1]).T


def loop_counts(depth, points, relation, image_size, valid):
    wrong = 0
    for i, k in np.argwhere(valid):
        resized = resize(depth[i, ..., 0], image_size[i])
        (yA, xA), (yB, xB) = points[i, k]
        wrong += np.sign(resized[yA, xA] - resized[yB, xB]) != relation[i, k]
    return wrong, valid.sum()


@pytest.mark.parametrize("number", range(6))
def test_golden_counts(golden, number):
    case = golden("whdr")[number]
    ordered, equal = case["target"][None, 4] != 0, case["target"][None, 4] == 0
    for index, threshold in enumerate(case["thresholds"].tolist()):
        for valid, name in ((ordered, "not_eq"), (equal, "eq")):
            wrong, total = jitted_counts(*from_golden(case), jnp.asarray(valid), threshold=threshold)
            assert total == case[f"{name}_count"]
            assert int(total - wrong) == case[f"{name}_correct"][index]


@pytest.mark.parametrize("number", range(5))
def test_golden_whdr(golden, number):
    case = golden("whdr")[number]
    rate = jitted_whdr(*from_golden(case))
    assert rate.dtype == jnp.float32
    np.testing.assert_allclose(rate, case["whdr_test"], rtol=1e-7)


@pytest.mark.parametrize("number", range(6))
def test_golden_resized(golden, number):
    case = golden("whdr")[number]
    height, width = case["target_res"]
    pixels = jnp.asarray(np.stack(np.mgrid[:height, :width], axis=-1), jnp.int32).reshape(-1, 1, 2)
    sampled = jax.jit(metrics._sample_resized)(
        jnp.asarray(case["depth"][0, 0]),
        jnp.tile(pixels, (1, 2, 1)),
        jnp.asarray(case["target_res"], jnp.int32),
    )
    np.testing.assert_allclose(sampled[:, 0].reshape(height, width), case["resized"], atol=1e-5)


def test_matches_a_loop_on_images_of_different_sizes():
    batch = random_batch()
    assert jitted_counts(*batch) == loop_counts(*batch)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (640, 360), (6000, 8000)])
def test_resized_ties_stay_ties(size):
    depth = jnp.full((1, 7, 9, 1), 0.1)
    points = jnp.asarray(np.random.default_rng(0).integers(0, size, size=(1, 50, 2, 2)))
    for relation, expected in ((1, 1), (-1, 1), (0, 0)):
        assert jitted_whdr(depth, points, jnp.full((1, 50), relation), jnp.array([size])) == expected


def test_one_pixel_is_a_tie():
    depth, points = jnp.ones((1, 1, 1, 1)), jnp.array([[[[0, 0], [4, 4]], [[2, 1], [0, 3]]]])
    assert jitted_whdr(depth, points, jnp.array([[1, 0]]), jnp.array([[5, 5]])) == 0.5


@pytest.mark.parametrize("relation", [-1, 0, 1])
def test_nan_is_wrong(relation):
    depth, points = jnp.full((1, 2, 2, 1), jnp.nan), jnp.zeros((1, 1, 2, 2), int)
    assert jitted_whdr(depth, points, jnp.array([[relation]]), jnp.array([[2, 2]])) == 1


@pytest.mark.parametrize("pairs", [0, 3])
def test_no_valid_pair_gives_zero(pairs):
    depth, points, relation, image_size, _ = map(jnp.asarray, random_batch(pairs=pairs))
    nowhere = jnp.zeros(relation.shape, bool)
    assert jitted_counts(depth, points, relation, image_size, nowhere) == (0, 0)
    assert jitted_whdr(depth, points, relation, image_size, nowhere) == 0


def test_bfloat16_depth_is_interpolated_in_float32():
    depth, points, relation, image_size, valid = random_batch()
    rounded = jnp.asarray(depth, jnp.bfloat16)
    expected = loop_counts(np.asarray(rounded, np.float32), points, relation, image_size, valid)
    assert jitted_counts(rounded, points, relation, image_size, valid) == expected


def test_row_baseline():
    rows = jnp.array([[[0, 5], [5, 0], [3, 3], [0, 5], [0, 5]]])
    points = jnp.stack([rows, jnp.zeros_like(rows)], axis=-1)
    relation, valid = jnp.array([[1, 1, -1, 0, -1]]), jnp.array([[True, True, True, True, False]])
    assert row_baseline_wrong(points, relation, valid) == 2.5
    assert row_baseline_wrong(points, relation) == 3.5


def test_two_devices_give_the_result_of_one():
    batch = random_batch()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    assert jitted_counts(*sharded) == jitted_counts(*batch)


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


@pytest.mark.parametrize("number", range(3))
def test_golden_nyu_alignment(golden, x64, number):
    case = golden("align_to_nyu")[number]
    prediction, target = (jnp.asarray(case[key])[None, ..., None] for key in ("z", "gt"))
    aligned = jitted_align(prediction)
    np.testing.assert_allclose(aligned[0, ..., 0], case["normalized"], rtol=1e-9)
    sums = jitted_sums(aligned, target)
    np.testing.assert_allclose(sums.rmse**2, case["fmse"], rtol=1e-9)


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


def test_alignment_is_free_of_unit_and_finite():
    depth = np.random.default_rng(0).normal(size=(4, 9, 7, 1)).astype(np.float32)
    aligned = jitted_align(depth)
    np.testing.assert_allclose(jitted_align(100 * depth - 7), aligned, rtol=1e-4)
    assert (aligned >= 0).all()
    np.testing.assert_allclose(jitted_align(np.full_like(depth, 3)), metrics.NYU_MEAN, rtol=1e-6)
    np.testing.assert_allclose(align_to_nyu(jnp.full((1, 1, 1, 1), 5.0)), metrics.NYU_MEAN, rtol=1e-6)


def test_two_devices_give_the_dense_metrics_of_one():
    maps = random_maps()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(maps, NamedSharding(mesh, PartitionSpec("data")))
    one, two = (DenseSums.concatenate([jitted_sums(*m)]) for m in (maps, sharded))
    assert values(one) == values(two)


@pytest.mark.parametrize(("rate", "pairs"), [(0.3, 200), (0.12, 2000)])
def test_interval_holds_the_true_rate_in_95_of_100_samples(rate, pairs):
    found = np.random.default_rng(0).binomial(pairs, rate, 10_000) / pairs
    held = [abs(share - rate) <= metrics.whdr_interval(share, pairs) for share in found]
    assert 0.94 < np.mean(held) < 0.96
