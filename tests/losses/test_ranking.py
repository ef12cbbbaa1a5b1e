import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import improved_ranking_loss, ranking_loss

value_and_grad = jax.jit(jax.value_and_grad(ranking_loss))
improved_value_and_grad = jax.jit(jax.value_and_grad(improved_ranking_loss), static_argnames="drop_easy")


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


def loop_loss(depth, points, relation, valid, drop_easy=0.0):
    kept = []
    for i, image in enumerate(depth[..., 0].astype(np.float64)):
        equal, unequal = [], []
        for k in np.flatnonzero(valid[i]):
            a, b = (image[tuple(point)] for point in points[i, k])
            if relation[i, k] == 0:
                equal.append((a - b) ** 2)
            else:
                unequal.append(np.log1p(np.exp(-relation[i, k] * (a - b))))
        kept += equal + sorted(unequal)[int(drop_easy * len(unequal)) :]
    return np.mean(kept)


@pytest.mark.parametrize("number", range(6))
def test_golden_float64(golden, x64, number):
    case = golden("ranking_diw")[number]
    loss, gradient = value_and_grad(*from_golden(case))
    np.testing.assert_allclose(loss, case["loss"], rtol=1e-12)
    np.testing.assert_allclose(loss, case["lua_loss"], rtol=1e-9)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["grad_z"], rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["lua_grad"], rtol=1e-9, atol=1e-16)


def test_golden_float32(golden):
    case = golden("ranking_diw")[6]
    loss, gradient = value_and_grad(*from_golden(case))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, case["loss"], rtol=2e-6)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["grad_z"], rtol=2e-6, atol=1e-8)


def test_is_finite_where_the_original_overflows(golden):
    loss, gradient = value_and_grad(*from_golden(golden("ranking_diw")[7]))
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


@pytest.mark.parametrize("number", range(5))
def test_golden_improved(golden, x64, number):
    """The original drops fewer pairs and divides by another number: both are undone here, image by image."""
    case = golden("ranking_improved")[number]
    depth, relation = np.moveaxis(case["z"], 1, -1), case["label"]
    images, pairs = relation.shape
    flat = np.stack([case["idxA"], case["idxB"]], axis=-1)
    points = np.stack(np.unravel_index(flat, depth.shape[1:3]), axis=-1)
    total, gradients = 0.0, []
    for i in range(images):
        equal = int(np.sum(relation[i] == 0))
        dropped = max(pairs // 4 - equal, 0)
        image = (jnp.asarray(array[i : i + 1]) for array in (depth, points, relation))
        share = (dropped + 0.5) / max(pairs - equal, dropped + 1)
        loss, gradient = jax.value_and_grad(improved_ranking_loss)(*image, drop_easy=share)
        scale = (pairs - dropped) / (0.75 * pairs + pairs) / images
        total += float(loss) * scale
        gradients.append(gradient * scale)
    np.testing.assert_allclose(total, case["loss"][0], rtol=1e-6)
    if number != 3:  # There all costs are equal: which of them are dropped is chance.
        gradients = np.moveaxis(np.concatenate(gradients), -1, 1)
        np.testing.assert_allclose(gradients, case["grad_z"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("drop_easy", [0.25, 0.6])
def test_improved_matches_a_loop(drop_easy):
    batch = random_batch(pairs=40)
    loss, gradient = improved_value_and_grad(*batch, drop_easy=drop_easy)
    np.testing.assert_allclose(loss, loop_loss(*batch, drop_easy), rtol=2e-6)
    assert loss > loop_loss(*batch)
    assert gradient.any()


def test_improved_drops_nothing_by_default():
    batch = random_batch()
    jax.tree.map(np.testing.assert_array_equal, improved_value_and_grad(*batch), value_and_grad(*batch))


def test_improved_keeps_equal_pairs_and_rounds_down():
    depth, points = jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1), jnp.array([[[[0, 1], [0, 0]]] * 4])
    relation = jnp.array([[1, -1, 0, 0]])
    loss, _ = improved_value_and_grad(depth, points, relation, drop_easy=0.5)
    np.testing.assert_allclose(loss, (np.log1p(np.e) + 2) / 3, rtol=1e-6)
    loss, _ = improved_value_and_grad(depth, points, relation, drop_easy=0.4)
    np.testing.assert_allclose(loss, ranking_loss(depth, points, relation), rtol=1e-6)


def test_improved_drops_half_of_the_ties():
    depth, points = jnp.zeros((1, 2, 3, 1)), jnp.zeros((1, 8, 2, 2), int)
    loss, gradient = improved_value_and_grad(depth, points, jnp.ones((1, 8), int), drop_easy=0.5)
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    assert not gradient.any()


def test_improved_without_a_valid_pair_gives_zero():
    depth, points, relation, _ = map(jnp.asarray, random_batch())
    nowhere = jnp.zeros(relation.shape, bool)
    loss, gradient = improved_value_and_grad(depth, points, relation, nowhere, drop_easy=0.25)
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize("drop_easy", [-0.1, 1.0])
def test_improved_rejects_a_share_out_of_range(drop_easy):
    with pytest.raises(ValueError, match="`drop_easy` must be in the range"):
        improved_ranking_loss(*map(jnp.asarray, random_batch()), drop_easy=drop_easy)


def sharded_batch():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    return jax.device_put(random_batch(), NamedSharding(mesh, PartitionSpec("data")))


LOSSES = pytest.mark.parametrize(
    ("loss", "settings"),
    [(value_and_grad, {}), (improved_value_and_grad, {"drop_easy": 0.25})],
    ids=["plain", "improved"],
)


@LOSSES
def test_two_devices_give_the_result_of_one(loss, settings):
    for one, two in zip(loss(*random_batch(), **settings), loss(*sharded_batch(), **settings), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)


@LOSSES
def test_no_image_travels_between_devices(loss, settings):
    assert "all-gather" not in loss.lower(*sharded_batch(), **settings).compile().as_text()
