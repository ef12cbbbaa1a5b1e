import jax
import numpy as np
import optax
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training import hosts
from mdepth_jax.training.checkpoint import Checkpoints
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import make_optimizer, make_schedule
from mdepth_jax.training.state import create_state
from mdepth_jax.training.step import make_mesh, make_train_step, replicate, shard_batch
from mdepth_jax.training.terms import parse_terms
from tests.models.test_depth_net import build_small
from tests.training.batches import random_batch


def make_state(model, step=0, devices=1):
    """A state whose parameters depend on its step."""
    _, state = create_state(model, optax.adam(1e-3))
    params = jax.tree.map(lambda x: x + np.float32(step), state.params)
    state = state._replace(step=state.step + step, params=params)
    return replicate(state, make_mesh(jax.devices()[:devices]))


def save_all(workdir, model, steps):
    checkpoints = Checkpoints(workdir)
    for step in steps:
        checkpoints.save(make_state(model, step))
    checkpoints.close()


def assert_same(left, right):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_checkpoint(model, tmp_path):
    assert Checkpoints(tmp_path).restore(make_state(model)) is None


def test_keeps_the_latest_two(model, tmp_path):
    save_all(tmp_path, model, [1, 2, 3, 4, 5])
    assert sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir()) == [4, 5]


@pytest.fixture(scope="module")
def training():
    """A network that compiles in a moment: gives its state on some devices, and takes a step there."""
    objective = Objective(parse_terms("ranking+dense"), heads=0)
    config = overlay(optim={"learning_rate": 1e-3})
    weights = objective.initial_weights(config.loss.weights.to_dict())
    optimizer = make_optimizer(config, weights, make_schedule(config.optim, 4, 2), 4)
    graph, state = create_state(build_small(), optimizer)
    train_step, start = make_train_step(graph, optimizer, objective), jax.device_get(state)

    def step(state, devices):
        batch = shard_batch(random_batch(int(state.step)), make_mesh(jax.devices()[:devices]))
        state, scalars = train_step(state, batch)
        return state, float(scalars["total"])

    return lambda devices: replicate(start, make_mesh(jax.devices()[:devices])), step


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_resumes_on_another_number_of_devices(training, optax_promotes, tmp_path, before, after):
    begin, step = training
    state, unbroken = begin(before), []
    for number in range(4):
        if number == 2:
            checkpoints = Checkpoints(tmp_path)
            checkpoints.save(state)
            checkpoints.close()
            saved = jax.device_get(state)
        state, total = step(state, before)
        unbroken.append(total)
    state, moved = Checkpoints(tmp_path).restore(begin(after)), []
    assert int(state.step) == 2
    assert_same(state, saved)
    assert all(len(leaf.sharding.device_set) == after for leaf in jax.tree.leaves(state))
    for _ in range(2):
        state, total = step(state, after)
        moved.append(total)
    assert len(set(unbroken)) == 4
    np.testing.assert_allclose(moved, unbroken[2:], rtol=1e-5)


def spoil(workdir, step, damage):
    for data in list((workdir / "checkpoints" / str(step)).rglob("d/*")):
        if damage == "truncate":
            data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
        else:
            data.unlink()


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_damaged_latest_checkpoint_falls_back_with_a_warning(model, tmp_path, damage):
    save_all(tmp_path, model, [1, 2])
    spoil(tmp_path, 2, damage)
    checkpoints = Checkpoints(tmp_path)
    with pytest.warns(UserWarning, match="checkpoint 2 cannot be read"):
        restored = checkpoints.restore(make_state(model))
    assert_same(restored, make_state(model, 1))
    assert (tmp_path / "damaged-checkpoints" / "2").is_dir()
    checkpoints.save(make_state(model, 2))
    checkpoints.close()
    assert_same(Checkpoints(tmp_path).restore(make_state(model)), make_state(model, 2))
    spoil(tmp_path, 2, damage)
    with pytest.warns(UserWarning, match="checkpoint 2 cannot be read"):
        Checkpoints(tmp_path).restore(make_state(model))
    assert sorted(path.name for path in (tmp_path / "damaged-checkpoints").iterdir()) == ["2", "2-2"]


def test_no_checkpoint_is_readable(model, tmp_path):
    """A run never starts anew over its own record."""
    save_all(tmp_path, model, [1, 2])
    for step in (1, 2):
        spoil(tmp_path, step, "remove")
    with pytest.raises(UserError, match=r"checkpoints: none of its .* \(the newest, 2: .+\); .* another `workdir`"):
        Checkpoints(tmp_path).restore(make_state(model))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1", "2"]


def test_the_first_host_alone_moves_files(model, tmp_path, monkeypatch):
    save_all(tmp_path, model, [1, 2])
    spoil(tmp_path, 2, "remove")
    monkeypatch.setattr(hosts, "is_first", lambda: False)
    with pytest.warns(UserWarning, match="checkpoint 2 cannot be read"):
        assert int(Checkpoints(tmp_path).restore(make_state(model)).step) == 1
    assert (tmp_path / "checkpoints" / "2").is_dir()


def test_half_written_checkpoint_is_not_seen(model, tmp_path):
    save_all(tmp_path, model, [1])
    half = tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "d").write_bytes(b"half")
    assert int(Checkpoints(tmp_path).restore(make_state(model)).step) == 1


def test_checkpoint_of_another_network_names_the_tensor(model, tmp_path):
    save_all(tmp_path, model, [1])
    other = build_small(heads=2, expansion=3.0)
    with pytest.raises(UserError, match=r"another network: batch_stats.*is \(.*\) there and \(.*\) here"):
        Checkpoints(tmp_path).restore(make_state(other))
    assert (tmp_path / "checkpoints" / "1").is_dir()
