import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.metrics import row_baseline_wrong, whdr, whdr_counts, whdr_interval, wrong_pairs
from mdepth_jax.metrics.ordinal import _sample_resized

jitted_counts = jax.jit(whdr_counts, static_argnames="threshold")
jitted_whdr = jax.jit(whdr)


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
    sampled = jax.jit(_sample_resized)(
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
    each = [float(row_baseline_wrong(points, relation, jnp.arange(5)[None] == pair)) for pair in range(5)]
    assert each == [0, 1, 0.5, 1, 1]
    assert row_baseline_wrong(points, relation, valid) == 2.5
    assert row_baseline_wrong(points, relation) == 3.5


def test_two_devices_give_the_result_of_one():
    batch = random_batch()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    assert jitted_counts(*sharded) == jitted_counts(*batch)


@pytest.mark.parametrize(("images", "pairs", "together"), [(200, 1, False), (100, 10, False), (100, 10, True)])
def test_interval_holds_the_true_rate_in_95_of_100_samples(images, pairs, together):
    """Also where the pairs of an image are right or wrong together: then it is that of the images."""
    rng, rate, held = np.random.default_rng(0), 0.3, []
    for _ in range(400):
        wrong = pairs * rng.binomial(1, rate, images) if together else rng.binomial(pairs, rate, images)
        interval = whdr_interval(wrong, [pairs] * images, samples=300)
        held.append(abs(wrong.sum() / (pairs * images) - rate) <= interval)
    assert 0.91 < np.mean(held) < 0.98


def test_interval_is_a_function_of_the_images_with_pairs():
    wrong, pairs = [1, 0, 2, 0], [2, 0, 3, 4]
    assert whdr_interval(wrong, pairs) == whdr_interval([1, 2, 0], [2, 3, 4])
    many = np.arange(50) % 7
    assert whdr_interval(many, many + 3) != whdr_interval(many, many + 3, seed=1)
    assert whdr_interval([0] * 5, [3] * 5) == 0
    assert np.isnan(whdr_interval([1, 0], [3, 0]))


def test_wrong_pairs_add_up_to_the_counts():
    batch = random_batch()
    wrong = jax.jit(wrong_pairs)(*batch)
    assert wrong.shape == batch[2].shape
    assert int(wrong.sum()) == int(jitted_counts(*batch)[0])
