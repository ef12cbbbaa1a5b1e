import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models import build_model
from mdepth_jax.models.layers import Conv, DepthwiseConv
from mdepth_jax.training import step_timing
from mdepth_jax.training.config import overlay


def test_the_reference_is_the_same_network():
    config = overlay(model={"width": 0.25, "heads": 0}).model
    ours = build_model(config, rngs=nnx.Rngs(0))
    plain = step_timing.with_plain_convolutions(build_model(config, rngs=nnx.Rngs(0)))
    kinds = [type(module) for _, module in nnx.iter_graph(plain)]
    assert nnx.Conv in kinds
    assert not {Conv, DepthwiseConv} & set(kinds)
    ours.eval()
    plain.eval()
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    np.testing.assert_allclose(plain(image).depth, ours(image).depth, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("optax_promotes")
def test_a_whole_step_is_timed():
    config = overlay(model={"width": 0.25}, loss={"terms": "ranking+holistic"}, rebalance={"order": "off"})
    model = build_model(config.model, rngs=nnx.Rngs(0))
    model.set_attributes(implementation="lax")
    step_timing.training_step(model, config, step_timing.random_batch(2, 32, 32))()


def show_times(monkeypatch, seconds):
    """Lets a clock tell these seconds, call after call."""
    clock = iter(seconds)
    monkeypatch.setattr(step_timing, "timed", lambda step: step() or next(clock))


def test_rows_are_compared_with_the_first(monkeypatch):
    calls = []
    show_times(monkeypatch, [50.0, 20.0, 1.0, 3.0, 5.0, 5.0, 6.0, 6.0, 8.0, 10.0])
    rows = step_timing.compare({name: lambda name=name: calls.append(name) for name in ("one", "two")}, rounds=2)
    assert calls == ["one", "two"] * 2 + ["one", "one", "two", "two"] * 2
    assert rows == [
        {"step": "one", "seconds": 4, "min": 2, "compile": 50, "ratio": 1},
        {"step": "two", "seconds": 7, "min": 5, "compile": 20, "ratio": 1.75},
    ]


def test_rebalancing_runs_alone():
    step_timing.rebalancing_alone()()


def test_encoders_are_compared_with_mobilenet_v2(monkeypatch):
    """The table alone: compiling two steps for it would take longer than all else in this file."""
    monkeypatch.setattr(step_timing, "ENCODERS", ("mobilenet_v1", "mobilenet_v2"))
    monkeypatch.setattr(step_timing, "training_step", lambda model, config, batch: lambda: None)
    show_times(monkeypatch, [10.0, 4.0, 2.0, 2.0, 1.0, 1.0])
    rows = step_timing.benchmark_encoders(2, 32, 32, rounds=1)
    assert [row["step"] for row in rows] == ["mobilenet_v2", "mobilenet_v1"]
    assert [(row["compile_ratio"], row["ratio"]) for row in rows] == [(1, 1), (0.4, 0.5)]
