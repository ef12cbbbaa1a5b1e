import itertools

import pytest

from mdepth_jax.data.types import Data, EvalSet
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.terms import parse_terms
from tests.models.test_depth_net import build_small
from tests.training.batches import SIZE, random_batch


@pytest.fixture
def config():
    """A run of two epochs of four steps on 64x64 noise."""
    return overlay(
        name="tiny",
        model={"encoder": "mobilenet_v1", "width": 0.25},
        data={
            "source": "scenes",
            "count": 16,
            "eval_count": 4,
            "height": SIZE,
            "width": SIZE,
            "batch_size": 4,
        },
        optim={"learning_rate": 1e-3},
        train={"epochs": 2, "log_every": 2},
    )


@pytest.fixture
def model():
    """A network of few layers, which compiles in a moment."""
    return build_small(heads=2)


@pytest.fixture
def objective():
    return Objective(parse_terms("ranking+dense"), heads=2)


@pytest.fixture
def data():
    return Data(
        lambda start: (random_batch(step) for step in itertools.count(start)),
        4,
        test=EvalSet(lambda: [random_batch(2000)], split="test"),
        val=EvalSet(lambda: [random_batch(1000), random_batch(1001)], split="val"),
    )
