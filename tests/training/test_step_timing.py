import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.layers import Conv, DepthwiseConv
from mdepth_jax.training import step_timing
from mdepth_jax.training.config import overlay
from mdepth_jax.training.step import make_train_step
from tests.models.test_depth_net import build_small
from tests.tflite.networks import build_network, make_network

NETWORK = {"encoder": "mobilenet_v1", "decoder": "nnconv5"}


def test_the_reference_is_the_same_network():
    ours, plain = build_network(), step_timing.with_plain_convolutions(make_network(**NETWORK))
    kinds = [type(module) for _, module in nnx.iter_graph(plain)]
    assert nnx.Conv in kinds
    assert not {Conv, DepthwiseConv} & set(kinds)
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    depth, expected = (nnx.jit(lambda model: model(image).depth)(model) for model in (plain, ours))
    np.testing.assert_allclose(depth, expected, rtol=1e-3, atol=1e-4 * np.ptp(expected))


@pytest.mark.usefixtures("optax_promotes")
def test_a_step_with_the_discriminator(monkeypatch):
    """Traced, not compiled, which takes four times as long; each step reads the state that the last one wrote."""
    states = []

    def make_traced_step(*arguments, **options):
        step = make_train_step(*arguments, **options)

        def trace(state, batch):
            result, scalars = jax.eval_shape(step, state, batch)
            states.append((state, result))
            return result, jax.tree.map(lambda scalar: jnp.zeros(scalar.shape, scalar.dtype), scalars)

        return trace

    monkeypatch.setattr(step_timing, "make_train_step", make_traced_step)
    config = overlay(model={"heads": 0}, loss={"terms": "ranking+holistic"}, rebalance={"order": "off"})
    step = step_timing.build_step(make_network(**NETWORK), config, step_timing.random_batch(2, 32, 32))
    assert {"loss/ranking", "loss/holistic"} <= step().keys()
    step()
    assert states[1][0] is states[0][1]


@pytest.mark.usefixtures("optax_promotes")
def test_a_timed_step_trains():
    """Each call takes one step from the state that the last one left."""
    config = overlay(model={"heads": 0}, loss={"terms": "ranking"})
    step = step_timing.build_step(build_small(heads=0), config, step_timing.random_batch(2, 32, 32))
    scalars = []
    (row,) = step_timing.compare_steps({"small": lambda: scalars.append(step())}, rounds=1)
    losses = [float(scalar["loss/ranking"]) for scalar in scalars]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] > 0
    assert row.keys() == {"step", "seconds", "min", "compile", "ratio"}


def set_times(monkeypatch, seconds):
    """Replaces the clock by given seconds for one call after another."""
    clock = iter(seconds)
    monkeypatch.setattr(
        step_timing.timeit, "timeit", lambda function, number: sum(function() or next(clock) for _ in range(number))
    )


def test_rows_are_compared_with_the_first(monkeypatch):
    calls = []
    set_times(monkeypatch, [50.0, 20.0, 1.0, 3.0, 5.0, 5.0, 6.0, 6.0, 8.0, 10.0])
    rows = step_timing.compare_steps({name: lambda name=name: calls.append(name) for name in ("one", "two")}, rounds=2)
    assert calls == ["one", "two"] * 2 + ["one", "one", "two", "two"] * 2
    assert rows == [
        {"step": "one", "seconds": 4, "min": 2, "compile": 50, "ratio": 1},
        {"step": "two", "seconds": 7, "min": 5, "compile": 20, "ratio": 1.75},
    ]


def test_rebalancing_runs_alone():
    step_timing.build_rebalancing()()


def test_encoders_are_compared_with_mobilenet_v2(monkeypatch):
    """The table alone: compiling two steps for it would take longer than everything else in this file."""
    monkeypatch.setattr(step_timing, "ENCODERS", ("mobilenet_v1", "mobilenet_v2"))
    monkeypatch.setattr(step_timing, "build_model", lambda config, rngs: build_network())
    monkeypatch.setattr(step_timing, "build_step", lambda model, config, batch: lambda: None)
    set_times(monkeypatch, [10.0, 4.0, 2.0, 2.0, 1.0, 1.0])
    rows = step_timing.benchmark_encoders(2, 32, 32, rounds=1)
    assert [row["step"] for row in rows] == ["mobilenet_v2", "mobilenet_v1"]
    assert [(row["compile_ratio"], row["ratio"]) for row in rows] == [(1, 1), (0.4, 0.5)]
