"""What a configuration changes: functions of a configuration and a new folder, each to a tree of arrays and values."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mdepth_jax.data import loading
from mdepth_jax.data.types import Data, EvalSet, Supervision
from mdepth_jax.models import DepthOutputs, TrainingRun, build_model
from mdepth_jax.models.weights import load_weights
from mdepth_jax.training.adversary import Adversary, AdversaryState
from mdepth_jax.training.loop import Trainer
from mdepth_jax.training.objective import Objective, make_objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_optimizer, make_schedule
from mdepth_jax.training.recipe import check_recipe, find_lacks, settle_config
from mdepth_jax.training.setup import build_network
from mdepth_jax.training.step import score_pairs
from mdepth_jax.training.teacher import open_teacher
from mdepth_jax.training.terms import parse_terms, wanted_maps
from tests.models.test_depth_net import build_small
from tests.training.batches import SIZE, random_batch


def settle(config, tmp_path):
    """The checked configuration, and what a run of it lacks of its recipe."""
    settled = config.copy_and_resolve_references()
    settle_config(settled)
    check_recipe(settled)
    return settled.loss.terms, find_lacks([TrainingRun(config=settled.to_dict())])


def draw_network(config, tmp_path):
    """Initial values, and the type of the computation."""
    model, _ = build_network(config)
    return {str(path): np.asarray(value) for path, value in nnx.to_flat_state(nnx.state(model))}, str(model.dtype)


def shape_network(config, tmp_path):
    """Names and shapes of the variables."""
    model = nnx.eval_shape(lambda: build_model(config.model, rngs=nnx.Rngs(0)))
    return {str(path): value.shape for path, value in nnx.to_flat_state(nnx.state(model))}


def predict(config, tmp_path):
    """Depth of an image, of any type of computation."""
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    model, _ = build_network(config)
    model.set_attributes(implementation="lax")
    return model(jnp.asarray(image)).depth


def load_data(config, tmp_path):
    """Batches, true depth, and what there is to learn from."""
    data, supervision = loading.open_data(config, wanted_maps(config))
    sets = [part for part in (data.test, data.val) if part is not None]
    held_out = [(list(part.batches()), list(part.truths()) if part.truths else None, part.split) for part in sets]
    return next(data.train(0)), data.steps_per_epoch, held_out, tuple(supervision)


def load_teacher(config, tmp_path):
    """Whether a teacher runs."""
    return open_teacher(config) is not None


def weigh_losses(config, tmp_path):
    """Initial weights of the losses."""
    objective = make_objective(config, Supervision(True, True, True, True))
    return objective.initial_weights(config.loss.weights.to_dict())


def compute_losses(config, tmp_path):
    """Losses of random predictions."""
    draw = np.random.default_rng(0).normal
    maps = {name: jnp.asarray(draw(size=(2, 8, 8, 1)).astype(np.float32)) for name in ("depth", "teacher_depth")}
    features = {"teacher_features": jnp.asarray(draw(size=(2, 4, 4, 3)).astype(np.float32))}
    batch = {**random_batch(0, batch=2, pairs=8), **maps, **features}
    batch |= {"points": batch["points"] % 8, "valid": np.ones((2, 8), bool), "image": batch["image"][:, :8, :8]}
    batch = jax.tree.map(jnp.asarray, batch)
    depth, *heads = (jnp.asarray(draw(size=(2, 8, 8, 1)).astype(np.float32)) for _ in range(config.model.heads + 1))
    outputs = DepthOutputs(depth, tuple(heads), jnp.asarray(draw(size=(2, 4, 4, 5)).astype(np.float32)))
    objective = make_objective(config, Supervision(True, True, True, True))
    return objective(outputs, batch, jnp.mean)


def update(config, tmp_path):
    """Parameters and weights of the losses over the steps of an optimizer on one number."""
    objective = make_objective(config, Supervision(True, True, True, True))
    weights = objective.initial_weights(config.loss.weights.to_dict())
    schedule = make_schedule(config.optim, 4, config.train.epochs)
    optimizer = make_optimizer(config, weights, schedule, 4)
    params = {"w": jnp.ones(2)}
    state = optimizer.init(params)
    path = []
    for step in range(12):
        losses = {name: jnp.asarray(0.9 ** (step * number) + number) for number, name in enumerate(weights)}
        gradients = {name: {"w": jnp.asarray([number + 1.0, -0.1 * step])} for number, name in enumerate(weights)}
        total = jax.tree.map(lambda *parts: sum(parts), *gradients.values())
        extra = {"loss_gradients": gradients} if OPTIMIZERS[config.optim.optimizer].takes_loss_gradients else {}
        updates, state = optimizer.update(total, state, params, losses=losses, **extra)
        params = optax.apply_updates(params, updates)
        path.append((params, state["rebalance"].weights))
    return path


def train_discriminator(config, tmp_path):
    """Steps in which the discriminator is trained, and an update of its optimizer."""
    trained = Adversary(config.discriminator, rngs=nnx.Rngs(0))
    kernel = {"w": jnp.ones(2)}
    updates, _ = trained.optimizer.update(kernel, trained.optimizer.init(kernel), kernel)
    zero, map_ = jnp.zeros(()), jnp.zeros((1, 8, 8, 1))
    trained._train = lambda state, *maps: state._replace(params=state.params + 1)
    image = jnp.zeros((1, 8, 8, 3), jnp.uint8)
    counts = [trained.update(AdversaryState(zero, zero, zero), jnp.asarray(n), image, map_, map_) for n in range(6)]
    return updates, [state.params for state in counts]


def train(config, tmp_path):
    """Records, checkpoints, the name in the weights and the pictures of a run whose steps do nothing."""
    data = Data(
        lambda start: (random_batch(step) for step in itertools.count(start)),
        4,
        test=EvalSet(lambda: [random_batch(2000)], split="test"),
        val=EvalSet(lambda: [random_batch(1000)], split="val"),
    )
    objective = Objective(parse_terms("ranking"), heads=0)
    trainer = Trainer(config=config, workdir=tmp_path, model=build_small(), objective=objective, data=data)
    scalars = {"total": 1.0, "loss/ranking": 1.0, "weight/ranking": 1.0}
    trainer.train_step = lambda state, batch: (state._replace(step=state.step + 1), scalars)
    trainer.eval_step = lambda params, stats, batch: score_pairs(jnp.zeros((4, SIZE, SIZE, 1)), batch)
    saved = []
    trainer.checkpoints.save = lambda state: saved.append(int(state.step))
    records = trainer.run().records
    header = load_weights(tmp_path).header
    steps = [(record["step"], sorted(key for key in record if not key.startswith("time/"))) for record in records]
    return steps, saved, header.run.config["name"], header.output
