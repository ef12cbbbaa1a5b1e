import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import ranking_loss

value_and_grad = jax.jit(jax.value_and_grad(ranking_loss))


def from_golden(case):
    depth = np.moveaxis(case["z"], 1, -1)
    target = case["target"]
    points = np.moveaxis(target[:, :4], 1, -1).reshape(len(target), -1, 2, 2)
    valid = np.arange(target.shape[2]) < case["n_points"][:, None]
    return tuple(map(jnp.asarray, (depth, points, target[:, 4], valid)))


def random_batch(batch=4, pairs=6, height=9, width=11):
    rng = np.random.default_rng(0)
    depth = rng.normal(size=(batch, height, width, 1)).astype(np.float32)
    points = rng.integers((height, width), size=(batch, pairs, 2, 2))
    return depth, points, rng.integers(-1, 2, (batch, pairs)), rng.random((batch, pairs)) < 0.7


def loop_loss(depth, points, relation, valid):
    costs = []
    for image, (a, b), r, is_valid in (
        (depth[i, ..., 0].astype(np.float64), points[i, k], relation[i, k], valid[i, k])
        for i in range(points.shape[0])
        for k in range(points.shape[1])
    ):
        if is_valid:
            difference = image[tuple(a)] - image[tuple(b)]
            costs.append(difference**2 if r == 0 else np.log1p(np.exp(-r * difference)))
    return np.mean(costs)


@pytest.mark.parametrize("number", range(6))
def test_golden_float64(golden, x64, number):
    case = golden("a1_diw_ranking")[number]
    loss, gradient = value_and_grad(*from_golden(case))
    np.testing.assert_allclose(loss, case["loss"], rtol=1e-12)
    np.testing.assert_allclose(loss, case["lua_loss"], rtol=1e-9)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["grad_z"], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["lua_grad"], rtol=1e-9, atol=1e-16)


def test_golden_float32(golden):
    case = golden("a1_diw_ranking")[6]
    loss, gradient = value_and_grad(*from_golden(case))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, case["loss"], rtol=2e-6)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["grad_z"], rtol=2e-6, atol=1e-8)


def test_is_finite_where_the_original_overflows(golden):
    loss, gradient = value_and_grad(*from_golden(golden("a1_diw_ranking")[7]))
    assert loss == 200
    assert sorted(np.unique(gradient)) == [-1, 0, 1]


def test_matches_a_loop():
    batch = random_batch()
    np.testing.assert_allclose(value_and_grad(*batch)[0], loop_loss(*batch), rtol=2e-6)


def test_all_pairs_are_valid_by_default():
    depth, points, relation, _ = map(jnp.asarray, random_batch())
    everywhere = jnp.ones(relation.shape, bool)
    without, given = (
        value_and_grad(depth, points, relation),
        value_and_grad(depth, points, relation, everywhere),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), without, given)


@pytest.mark.parametrize("pairs", [0, 3])
def test_no_valid_pair_gives_zero(pairs):
    depth, points, relation, _ = map(jnp.asarray, random_batch(pairs=pairs))
    nowhere = jnp.zeros(relation.shape, bool)
    loss, gradient = value_and_grad(depth, points, relation, nowhere)
    assert loss == 0
    assert not gradient.any()


def test_padding_does_not_spread_nan():
    depth = jnp.full((1, 2, 2, 1), jnp.nan).at[0, 1].set(jnp.array([[2.0], [1.0]]))
    points = jnp.array([[[[1, 0], [1, 1]], [[0, 0], [0, 1]]]])
    valid = jnp.array([[True, False]])
    loss, gradient = value_and_grad(depth, points, jnp.array([[1, 0]]), valid)
    np.testing.assert_allclose(loss, np.log1p(np.exp(-1)), rtol=1e-6)
    assert jnp.isfinite(gradient).all()


def test_one_pixel_is_a_tie():
    depth, points = jnp.ones((1, 1, 1, 1)), jnp.zeros((1, 2, 2, 2), int)
    loss, gradient = value_and_grad(depth, points, jnp.array([[1, 0]]))
    np.testing.assert_allclose(loss, np.log(2) / 2, rtol=1e-6)
    assert gradient == 0


def test_large_differences_of_the_right_sign_cost_nothing():
    depth, points = jnp.array([0.0, 1e30]).reshape(1, 1, 2, 1), jnp.array([[[[0, 1], [0, 0]]]])
    loss, gradient = value_and_grad(depth, points, jnp.array([[1]]))
    assert loss == 0
    assert not gradient.any()


def test_bfloat16_depth_gives_a_float32_loss():
    depth, points, relation, valid = map(jnp.asarray, random_batch())
    depth = depth.astype(jnp.bfloat16)
    loss, gradient = value_and_grad(depth, points, relation, valid)
    assert loss.dtype == jnp.float32
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(loss, loop_loss(*map(np.asarray, (depth, points, relation, valid))), rtol=2e-6)


def test_two_devices_give_the_result_of_one():
    batch = random_batch()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    for one, two in zip(value_and_grad(*batch), value_and_grad(*sharded), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)


def test_no_image_travels_between_devices():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(random_batch(), NamedSharding(mesh, PartitionSpec("data")))
    assert "all-gather" not in value_and_grad.lower(*sharded).compile().as_text()
