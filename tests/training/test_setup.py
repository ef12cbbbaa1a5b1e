import itertools

import numpy as np
import pytest
from flax import nnx

from mdepth_jax.data.types import Data, EvalSet, Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.models import Header, TrainingRun, build_model
from mdepth_jax.models.weights import named_tensors, save_weights
from mdepth_jax.training.config import overlay
from mdepth_jax.training.setup import build_network, build_trainer
from tests.training.batches import SIZE, random_batch


@pytest.fixture
def start(config, tmp_path):
    """Weights of a run of one epoch."""
    path = tmp_path / "start.safetensors"
    header = Header(run=TrainingRun("command", overlay(seed=9).to_dict()))
    save_weights(path, build_model(config.model, rngs=nnx.Rngs(9)), config.model, header)
    return path


def test_a_network_starts_from_the_weights_of_another_run(config, start, capsys):
    config.model.start = str(start)
    model, earlier = build_network(config)
    expected = named_tensors(build_model(config.model, rngs=nnx.Rngs(9)).without_heads())
    found = named_tensors(model)
    assert found.keys() > expected.keys()  # it has heads
    for name, variable in expected.items():
        np.testing.assert_array_equal(found[name][...], variable[...])
    assert [run.command for run in earlier] == ["command"]
    assert "start.safetensors lacks 2 of the 2 intermediate heads; these start anew" in capsys.readouterr().out


def test_a_network_starts_with_the_heads_of_another_run(config, tmp_path, capsys):
    config.model.start = str(tmp_path / "start.safetensors")
    other = build_model(config.model, rngs=nnx.Rngs(9))
    save_weights(tmp_path / "start.safetensors", other, config.model, Header(), heads=True)
    found = named_tensors(build_network(config)[0])
    for name, variable in named_tensors(other).items():
        np.testing.assert_array_equal(found[name][...], variable[...])
    assert not capsys.readouterr().out


def test_a_network_starts_from_the_seed(config):
    first, again = (named_tensors(build_network(config)[0]) for _ in range(2))
    config.seed += 1
    other = named_tensors(build_network(config)[0])
    kernels = [name for name in first if name.endswith("kernel")]
    assert all(np.array_equal(first[name][...], again[name][...]) for name in kernels)
    assert not any(np.array_equal(first[name][...], other[name][...]) for name in kernels)
    assert build_network(config)[1] == ()


@pytest.mark.usefixtures("optax_promotes")
def test_the_discriminator_is_built_for_the_term_that_needs_it(config, tmp_path):
    batch = random_batch(0) | {"teacher_depth": np.zeros((4, SIZE, SIZE, 1), np.float32)}
    data = Data(lambda step: itertools.repeat(batch), 4, EvalSet(list))
    config.rebalance.order = "off"
    for terms, has_adversary in (("ranking", False), ("ranking+holistic", True)):
        config.loss.terms = terms
        trainer = build_trainer(config, tmp_path / terms, data, Supervision(teacher_depth=True))
        assert bool(trainer.state.adversary) == has_adversary
        assert [term.name for term in trainer.objective.terms] == terms.split("+")
        trainer.checkpoints.close()
        trainer.book.close()


def test_a_mistake_leaves_no_run_directory(config, tmp_path):
    config.loss.terms = "dense"
    with pytest.raises(UserError, match="'dense' needs depth maps"):
        build_trainer(config, tmp_path / "run", Data(lambda step: iter(()), 4, EvalSet(list)), Supervision())
    assert not (tmp_path / "run").exists()
