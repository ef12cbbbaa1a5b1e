import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import make_optimizer, make_schedule
from mdepth_jax.training.state import create_state
from mdepth_jax.training.step import (
    local_rows,
    make_eval_step,
    make_mesh,
    make_train_step,
    replicate,
    separate_gradients,
    shard_batch,
)
from mdepth_jax.training.terms import parse_terms
from tests.training.batches import SIZE, random_batch

pytestmark = pytest.mark.usefixtures("optax_promotes")


def train(config, model, objective, devices, steps):
    mesh = make_mesh(devices)
    schedule = make_schedule(config.optim, 4, 2)
    optimizer = make_optimizer(config, objective.initial_weights(config.loss.weights.to_dict()), schedule, 4)
    graph, state = create_state(model, optimizer)
    state = replicate(state, mesh)
    step = make_train_step(graph, optimizer, objective)
    scalars = []
    for number in range(steps):
        state, values = step(state, shard_batch(random_batch(number), mesh))
        scalars.append(jax.device_get(values))
    evaluation = make_eval_step(graph)(state.params, state.batch_stats, shard_batch(random_batch(100), mesh))
    return state, scalars, evaluation


def test_two_devices_give_the_result_of_one(config, model, objective):
    assert jax.device_count() >= 2
    one, one_scalars, one_eval = train(config, model, objective, jax.devices()[:1], steps=1)
    two, two_scalars, two_eval = train(config, model, objective, jax.devices()[:2], steps=1)
    assert len(two_eval["depth"].sharding.device_set) == 2
    # Sums in another order round differently, and fifty layers with batches of 16 pixels at the deepest amplify that.
    np.testing.assert_allclose(one_scalars[0]["total"], two_scalars[0]["total"], rtol=1e-4)
    np.testing.assert_allclose(one_scalars[0]["gradient_norm"], two_scalars[0]["gradient_norm"], rtol=1e-2)
    for name, value in one.opt_state["rebalance"].window_sums.items():
        np.testing.assert_allclose(value, two.opt_state["rebalance"].window_sums[name], rtol=1e-4)
    for left, right in zip(jax.tree.leaves(one.batch_stats), jax.tree.leaves(two.batch_stats), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4)
    for evaluation in (one_eval, two_eval):
        np.testing.assert_array_equal(evaluation["total"], random_batch(100)["valid"].sum(axis=1))
    np.testing.assert_array_equal(local_rows(two_eval["depth"]), np.asarray(two_eval["depth"]))


def test_step_moves_everything_and_counts(config, model, objective):
    before = jax.device_get(nnx.state(model, nnx.Param)), jax.device_get(nnx.state(model, nnx.BatchStat))
    state, scalars, _ = train(config, model, objective, jax.devices()[:1], steps=2)
    assert int(state.step) == 2
    for old, new in zip(before, (state.params, state.batch_stats), strict=True):
        for path, value in jax.tree_util.tree_leaves_with_path(new):
            moved = value != dict(jax.tree_util.tree_leaves_with_path(old))[path]
            assert moved.any(), jax.tree_util.keystr(path)
    assert set(scalars[0]) == {"total", "gradient_norm", *(f"{kind}/{name}" for kind in ("loss", "weight")
                                                           for name in ("ranking", "dense"))}  # fmt: skip
    expected = sum(scalars[0][f"weight/{name}"] * scalars[0][f"loss/{name}"] for name in ("ranking", "dense"))
    np.testing.assert_allclose(scalars[0]["total"], expected, rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_the_given_state_is_donated(config, model, objective):
    schedule = make_schedule(config.optim, 4, 2)
    optimizer = make_optimizer(config, objective.initial_weights(config.loss.weights.to_dict()), schedule, 4)
    graph, state = create_state(model, optimizer)
    make_train_step(graph, optimizer, objective)(state, shard_batch(random_batch(0), make_mesh(jax.devices()[:1])))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


def test_evaluation_uses_the_running_statistics_and_changes_nothing(config, model, objective):
    graph, state = create_state(model, optax.identity())
    before = jax.device_get(state.batch_stats)
    batch = shard_batch(random_batch(0), make_mesh(jax.devices()[:1]))
    found = make_eval_step(graph)(state.params, state.batch_stats, batch)["depth"]
    model.eval()
    expected = nnx.jit(lambda model, image: model(image).depth)(model, batch["image"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.ptp(expected))
    for left, right in zip(jax.tree.leaves(before), jax.tree.leaves(state.batch_stats), strict=True):
        np.testing.assert_array_equal(left, right)


def test_row_baseline_of_the_evaluation(config, model):
    graph, state = create_state(model, optax.identity())
    batch = random_batch(7)
    result = make_eval_step(graph)(state.params, state.batch_stats, shard_batch(batch, make_mesh(jax.devices()[:1])))
    wrong = 0.0
    for image in range(4):
        for pair in np.flatnonzero(batch["valid"][image]):
            (y_a, _), (y_b, _) = batch["points"][image, pair]
            guess = np.sign(int(y_b) - int(y_a))
            wrong += 0.5 if guess == 0 else float(guess != batch["relation"][image, pair])
    assert float(result["row_wrong"]) == pytest.approx(wrong)


def holistic_batch(seed):
    rng = np.random.default_rng(seed)
    batch = random_batch(seed) | {"teacher_depth": rng.normal(size=(4, SIZE, SIZE, 1)).astype(np.float32)}
    return {
        key: value[:, :32, :32] if value.ndim == 4 and value.shape[1] == SIZE else value for key, value in batch.items()
    }


def test_holistic_term_trains_the_discriminator_with_the_network(config, model):
    objective = Objective(parse_terms("pixelwise+holistic"), heads=2)
    adversary = Adversary(config.discriminator, rngs=nnx.Rngs(1))
    weights = objective.initial_weights(config.loss.weights.to_dict())
    optimizer = make_optimizer(config, weights, make_schedule(config.optim, 4, 2), 4)
    graph, state = create_state(model, optimizer, adversary)
    step = make_train_step(graph, optimizer, objective, adversary)
    start = jax.device_get(state.adversary.params)
    moved = []
    for number in range(2):
        state, scalars = step(state, holistic_batch(number))
        moved.append(not same(state.adversary.params, start))
        assert np.isfinite(scalars["loss/holistic"])
    assert moved == [False, True]


def test_separate_gradients_are_those_of_each_loss():
    def compute_losses(x):
        return {"square": jnp.sum(jnp.square(x)), "sine": jnp.sum(jnp.sin(x))}, "rest"

    x = jnp.asarray(np.random.default_rng(0).normal(size=5), jnp.float32)
    weights = {"square": jnp.float32(0.25), "sine": jnp.float32(0.75)}
    values, rest, gradient, extra = separate_gradients(compute_losses, x, weights)
    assert rest == "rest"
    np.testing.assert_allclose(values["square"], np.sum(np.square(x)), rtol=1e-6)
    expected = {"square": 2 * np.asarray(x), "sine": np.cos(x)}
    assert extra["loss_gradients"].keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(extra["loss_gradients"][name], value, rtol=1e-6)
    np.testing.assert_allclose(gradient, 0.25 * expected["square"] + 0.75 * expected["sine"], rtol=1e-5)


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))
