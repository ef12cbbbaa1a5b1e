import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models import build_model
from mdepth_jax.models.layers import Conv, DepthwiseConv
from mdepth_jax.training import step_timing
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network


def test_the_reference_is_the_same_network():
    ours, plain = (make_network(encoder="mobilenet_v1") for _ in range(2))
    plain = step_timing.with_plain_convolutions(plain)
    kinds = [type(module) for _, module in nnx.iter_graph(plain)]
    assert nnx.Conv in kinds
    assert not {Conv, DepthwiseConv} & set(kinds)
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    depth, expected = (nnx.jit(lambda model: model(image).depth)(model) for model in (plain, ours))
    np.testing.assert_allclose(depth, expected, rtol=1e-3, atol=1e-4 * np.ptp(expected))


@pytest.mark.usefixtures("optax_promotes")
def test_a_step_with_the_discriminator():
    options = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}
    config = overlay(model=options, loss={"terms": "ranking+holistic"}, rebalance={"order": "off"})
    model = build_model(config.model, rngs=nnx.Rngs(0))
    model.set_attributes(implementation="lax")
    scalars = step_timing.build_step(model, config, step_timing.random_batch(2, 32, 32))()
    assert {"loss/ranking", "loss/holistic"} <= scalars.keys()


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
    monkeypatch.setattr(step_timing, "build_model", lambda config, rngs: make_network(encoder="mobilenet_v1"))
    monkeypatch.setattr(step_timing, "build_step", lambda model, config, batch: lambda: None)
    set_times(monkeypatch, [10.0, 4.0, 2.0, 2.0, 1.0, 1.0])
    rows = step_timing.benchmark_encoders(2, 32, 32, rounds=1)
    assert [row["step"] for row in rows] == ["mobilenet_v2", "mobilenet_v1"]
    assert [(row["compile_ratio"], row["ratio"]) for row in rows] == [(1, 1), (0.4, 0.5)]
