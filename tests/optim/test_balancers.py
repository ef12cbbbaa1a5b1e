"""What every balancer of losses must do, whatever its rule."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from orbax import checkpoint as ocp

from mdepth_jax.optim import RebalanceState, easy_to_hard, hard_to_easy, mtadam, rebalance

STEPS = 8
RATE = 0.05


def plain_sgd():
    """With rebalancing it is for the optimizer behind it to refuse a gradient that is not finite."""
    return optax.apply_if_finite(optax.sgd(RATE), STEPS)


def make_rebalance(names, **settings):
    """Three events in an epoch of four steps, two epochs."""
    weights = dict.fromkeys(names, 1 / len(names))
    return optax.chain(rebalance(weights, steps_per_epoch=4, events_per_epoch=3, **settings), plain_sgd())


BALANCERS = {
    "fixed": functools.partial(make_rebalance, strength=0.0),
    "hard to easy": functools.partial(make_rebalance, strength=hard_to_easy(2)),
    "easy to hard": functools.partial(make_rebalance, strength=easy_to_hard(2)),
    "initialized, hard to easy": functools.partial(
        make_rebalance, strength=hard_to_easy(2), weight_initialization=True
    ),
    "initialized, easy to hard": functools.partial(
        make_rebalance, strength=easy_to_hard(2), weight_initialization=True
    ),
    "mtadam": lambda names: mtadam(RATE, names),
}

every_balancer = pytest.mark.parametrize("make", BALANCERS.values(), ids=BALANCERS.keys())


def make_batches(losses=2, images=4):
    """For every step the targets of each loss, around another place for each, and a factor to multiply it with."""
    rng = np.random.default_rng(0)
    places = np.linspace(0, 1, losses)[None, :, None, None]
    targets = places + (1 + places) * rng.normal(size=(STEPS, losses, images, 3))
    return {"targets": targets.astype(np.float32), "factor": np.ones((STEPS, losses), np.float32)}


def train(make, batches, carry=None):
    """Trains over all steps in one compiled scan; returns parameters and state, and the losses of every step."""
    names = [f"loss_{index}" for index in range(batches["factor"].shape[1])]
    optimizer = make(names)

    def loss(params, batch):
        return batch["factor"] * (jnp.mean(jnp.square(params["w"][None] - batch["targets"])) + jnp.square(params["b"]))

    def step(carry, batch):
        params, state = carry
        values, gradients = jax.vmap(jax.value_and_grad(loss), (None, 0))(params, batch)
        first = state[0]
        weights = list(first.weights.values()) if isinstance(first, RebalanceState) else [1 / len(names)] * len(names)
        total = jax.tree.map(lambda g: jnp.tensordot(jnp.stack(weights), g, 1), gradients)
        arguments = {
            "losses": dict(zip(names, values, strict=True)),
            "loss_gradients": {name: jax.tree.map(lambda g, k=k: g[k], gradients) for k, name in enumerate(names)},
        }
        updates, state = optax.with_extra_args_support(optimizer).update(total, state, params, **arguments)
        return (optax.apply_updates(params, updates), state), values

    if carry is None:
        params = {"w": jnp.ones(3), "b": jnp.float32(1)}
        carry = params, optimizer.init(params)
    return jax.jit(lambda carry, batches: jax.lax.scan(step, carry, batches))(carry, batches)


def assert_finite(tree):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("losses", [2, 40])
@every_balancer
def test_the_losses_fall(make, losses):
    carry, values = train(make, make_batches(losses))
    assert_finite(carry)
    assert values[-1].sum() < values[0].sum()


@every_balancer
def test_one_loss_needs_no_balance(make, optax_promotes):
    batches = make_batches(losses=1)
    plain = optax.adam(RATE) if make is BALANCERS["mtadam"] else plain_sgd()
    (found, _), _ = train(make, batches)
    (expected, _), _ = train(lambda names: plain, batches)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


@every_balancer
def test_a_loss_of_zero(make):
    batches = make_batches()
    batches["factor"][:, 0] = 0
    carry, values = train(make, batches)
    assert_finite(carry)
    assert values[-1, 1] < values[0, 1]


@pytest.mark.parametrize(("bad", "when"), [(np.nan, 0), (np.inf, slice(3, 5))], ids=["nan at once", "infinite later"])
@every_balancer
def test_a_loss_that_is_not_finite(make, bad, when):
    batches = make_batches()
    batches["factor"][when, 0] = bad
    carry, values = train(make, batches)
    assert_finite(carry)
    assert values[-1].sum() < values[1].sum()


@every_balancer
def test_two_devices_give_the_result_of_one(make):
    batches = make_batches()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    specs = {"targets": PartitionSpec(None, None, "data"), "factor": PartitionSpec()}
    sharded = {key: jax.device_put(value, NamedSharding(mesh, specs[key])) for key, value in batches.items()}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), train(make, batches), train(make, sharded)
    )


@every_balancer
def test_resumes_from_a_checkpoint(make, tmp_path):
    """As in `training.checkpoint`, a checkpoint is a flat dictionary of named arrays."""
    batches = make_batches()
    first, rest = (jax.tree.map(lambda x, part=part: x[part], batches) for part in (slice(4), slice(4, None)))
    carry, _ = train(make, first)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(carry)]
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", dict(zip(paths, jax.tree.leaves(carry), strict=True)))
        checkpointer.wait_until_finished()
        saved = checkpointer.restore(tmp_path / "state")
    restored = jax.tree.unflatten(jax.tree.structure(carry), [saved[path] for path in paths])
    jax.tree.map(np.testing.assert_array_equal, restored, carry)
    (unbroken, _), (resumed, _) = train(make, batches), train(make, rest, restored)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), resumed, unbroken)
