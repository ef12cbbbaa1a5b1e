"""Times training steps, every one against a reference in the same process, in turn."""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.models import ENCODERS, DepthNet, build_model
from mdepth_jax.models.layers import Conv, DepthwiseConv
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_balancer, make_optimizer
from mdepth_jax.training.state import create_state
from mdepth_jax.training.step import make_mesh, make_train_step, replicate, shard_batch
from mdepth_jax.training.terms import parse_terms

Row = dict[str, Any]
RECIPE = ("ranking", "pixelwise", "pairwise")
UPDATES = 100  # one is too short to time beside a step


def benchmark_convolutions(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the ranking step of our network against the same network with `nnx.Conv` everywhere."""
    config = overlay(loss={"terms": "ranking"})
    batch = random_batch(batch_size, height, width)
    networks = {
        "nnx.Conv everywhere": with_plain_convolutions(build_model(config.model, rngs=nnx.Rngs(0))),
        "ours": build_model(config.model, rngs=nnx.Rngs(0)),
    }
    steps = {name: training_step(model, config, batch) for name, model in networks.items()}
    return compare(steps, rounds)


def benchmark_balancers(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the recipe's step with every way to weigh the losses, with the discriminator, and rebalancing by itself."""
    batch = random_batch(batch_size, height, width)
    recipe = {"terms": "+".join(RECIPE)}
    configs = {
        "rebalanced": overlay(loss=recipe),
        "MTAdam": overlay(loss=recipe, rebalance={"order": "off"}, optim={"optimizer": "mtadam"}),
        "with discriminator, every 2nd step": overlay(
            loss={"terms": f"{recipe['terms']}+holistic"}, rebalance={"order": "off"}
        ),
    }
    steps = {
        name: training_step(build_model(config.model, rngs=nnx.Rngs(0)), config, batch)
        for name, config in configs.items()
    }
    return compare(steps | {f"rebalancing alone, {UPDATES} times": rebalancing_alone()}, rounds)


def benchmark_encoders(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the ranking step of every encoder with the FBNet decoder, and compiling it, against MobileNetV2."""
    batch = random_batch(batch_size, height, width)
    configs = {name: overlay(loss={"terms": "ranking"}, model={"encoder": name}) for name in ENCODERS}
    configs = {"mobilenet_v2": configs["mobilenet_v2"], **configs}
    steps = {
        name: training_step(build_model(config.model, rngs=nnx.Rngs(0)), config, batch)
        for name, config in configs.items()
    }
    rows = compare(steps, rounds)
    return [row | {"compile_ratio": row["compile"] / rows[0]["compile"]} for row in rows]


def compare(steps: Mapping[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Times functions in turn; `ratio` is the share of the first one's time."""
    compile_seconds = {name: timed(step) for name, step in steps.items()}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _, (name, step) in itertools.product(range(rounds), steps.items()):
        seconds[name].append((timed(step) + timed(step)) / 2)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reference = next(iter(medians.values()))
    return [
        {"step": name, "seconds": medians[name], "min": min(values), "compile": compile_seconds[name],
         "ratio": medians[name] / reference}
        for name, values in seconds.items()
    ]  # fmt: skip


def with_plain_convolutions(model: DepthNet) -> DepthNet:
    """Replaces every convolution by `nnx.Conv` with the same kernel."""
    for _, module in list(nnx.iter_graph(model)):
        for name, layer in list(vars(module).items()) if isinstance(module, nnx.Module) else []:
            if isinstance(layer, Conv | DepthwiseConv):
                setattr(module, name, plain_convolution(layer))
    return model


def plain_convolution(layer: Conv | DepthwiseConv) -> nnx.Module:
    """Makes the `nnx.Conv` that computes what the layer does, after nearest up-sampling where the layer up-samples."""
    kernel = layer.kernel[...]
    groups = layer.out_channels if isinstance(layer, DepthwiseConv) else 1
    use_bias = isinstance(layer, Conv) and layer.bias is not None
    plain = nnx.Conv(
        kernel.shape[2] * groups, kernel.shape[3], kernel.shape[:2], layer.stride, padding=layer.padding,
        feature_group_count=groups, use_bias=use_bias, rngs=nnx.Rngs(0),
    )  # fmt: skip
    plain.kernel[...] = kernel
    upsample = isinstance(layer, DepthwiseConv) and layer.upsample
    return nnx.Sequential(repeat_twice, plain) if upsample else plain


def repeat_twice(x: jax.Array) -> jax.Array:
    """Doubles height and width by repetition."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def random_batch(batch_size: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Makes a batch of noise with one pair per image, and a teacher's maps and features."""
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (batch_size, height, width, 3), dtype=np.uint8),
        "points": rng.integers(0, (height, width), (batch_size, 1, 2, 2), dtype=np.int32),
        "relation": np.ones((batch_size, 1), np.int32),
        "valid": np.ones((batch_size, 1), bool),
        "teacher_depth": rng.uniform(1, 9, (batch_size, height, width, 1)).astype(np.float32),
        "teacher_features": rng.normal(size=(batch_size, height // 2, width // 2, 32)).astype(np.float32),
    }


def training_step(
    model: DepthNet, config: ConfigDict, batch: dict[str, np.ndarray]
) -> Callable[[], dict[str, jax.Array]]:
    """Makes a function that does one whole training step, waits for it and gives its metrics."""
    mesh = make_mesh()
    objective = Objective(parse_terms(config.loss.terms), heads=config.model.heads)
    adversary = Adversary(config.discriminator, rngs=nnx.Rngs(1)) if objective.needs_discriminator else None
    weights = objective.initial_weights(config.loss.weights.to_dict())
    optimizer = make_optimizer(config, weights, optax.constant_schedule(1e-4), 1000)
    graph, state = create_state(model, optimizer, adversary)
    per_loss = OPTIMIZERS[config.optim.optimizer].takes_loss_gradients
    step = make_train_step(graph, optimizer, objective, adversary, gradient_per_loss=per_loss)
    current = [replicate(state, mesh)]
    arrays = shard_batch(batch, mesh)

    def once() -> dict[str, jax.Array]:
        current[0], scalars = step(current[0], arrays)
        return jax.block_until_ready(scalars)

    return once


def rebalancing_alone() -> Callable[[], object]:
    """Makes a function that does `UPDATES` times what rebalancing adds to a step, and waits for it."""
    config, weights = overlay(), dict.fromkeys(RECIPE, 1 / len(RECIPE))
    balancer = make_balancer(config, weights, steps_per_epoch=1000)
    losses = {name: jnp.float32(1) for name in RECIPE}
    update = jax.jit(lambda state: balancer.update({}, state, losses=losses)[1])
    current = [balancer.init({})]

    def once() -> None:
        for _ in range(UPDATES):
            current[0] = jax.block_until_ready(update(current[0]))

    return once


def timed(function: Callable[[], object]) -> float:
    """Gives the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
