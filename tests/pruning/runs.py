"""Tiny networks and runs to prune."""

import contextlib
import itertools
import json

import jax
import pytest
from flax import nnx

from mdepth_jax.data.types import Data, EvalSet
from mdepth_jax.models import Header, TrainingRun, build_model, depthwise, layers, save_weights
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.search import Search
from mdepth_jax.pruning.short_term import ShortTermTrainer
from mdepth_jax.pruning.task import PruningTask
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.terms import parse_terms
from tests.models.test_depth_net import build_small
from tests.pruning.networks import build_random
from tests.training.batches import SIZE, random_batch

BUDGET = 6600.0


@contextlib.contextmanager
def compiling_quickly():
    """Takes XLA's convolutions, which compile fastest; allows what `optax.adam` promotes."""
    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        for module in (depthwise, layers):
            patch.setattr(module, "default_implementation", lambda: "lax")
        yield


def make_small_task(**settings):
    """Creates the task of pruning a network that compiles in a moment; no configuration builds it."""
    model = build_small()
    config = overlay(name="small", model={"heads": 0}, data={"height": SIZE, "width": SIZE})
    structure = find_structure(model, SIZE, SIZE)
    defaults = {"budget": BUDGET, "first_step": 0.15, "divisor": 2, "short_steps": 2, "learning_rate": 1e-3}
    return PruningTask(
        model=model,
        header=Header(),
        run_config=config,
        config=config,
        structure=structure,
        resource=make_resource("params", structure),
        settings=Settings(**defaults | settings),
    )


def make_small_trainer(task):
    """Creates a trainer with random batches, two of them held out."""
    data = Data(
        lambda start: (random_batch(step) for step in itertools.count(start)),
        4,
        test=EvalSet(list),
        val=EvalSet(lambda: [random_batch(1000), random_batch(1001)], split="val"),
    )
    return ShortTermTrainer(task, objective=Objective(parse_terms("dense"), heads=0), data=data)


def make_small_search(workdir, **settings):
    """Creates a search on random batches."""
    task = make_small_task(evaluation_batches=1, **settings)
    return Search(task=task, trainer=make_small_trainer(task), workdir=workdir)


def write_run(directory, *, terms="ranking+dense"):
    """Writes a run with two heads on four rendered scenes, as training leaves it; its weights are untrained."""
    config = overlay(
        name="tiny",
        model={"encoder": "mobilenet_v1", "width": 0.25},
        data={
            "source": "scenes",
            "count": 4,
            "val_share": 0.5,
            "eval_count": 4,
            "height": 32,
            "width": 32,
            "batch_size": 2,
        },
        loss={"terms": terms},
        teacher={"run": "embedded" if "holistic" in terms else ""},
        rebalance={"order": "off"},
        train={"epochs": 1, "log_every": 1},
    )
    directory.mkdir()
    model = build_random(lambda: build_model(config.model, rngs=nnx.Rngs(0)))
    save_weights(directory / "model.safetensors", model, config.model, Header(TrainingRun(config=config.to_dict())))
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    return directory
