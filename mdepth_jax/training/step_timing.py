"""Times of training steps, measured in turn with a reference in the same process."""

import itertools
import statistics
import timeit
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.data.types import Supervision
from mdepth_jax.models import ENCODERS, DepthNet, build_model
from mdepth_jax.models.layers import Conv, DepthwiseConv
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_balancer, make_optimizer
from mdepth_jax.training.state import create_state
from mdepth_jax.training.step import make_mesh, make_train_step, replicate, shard_batch

Row = dict[str, Any]
RECIPE = ("ranking", "pixelwise", "pairwise")
UPDATES = 100  # a single one is too short to time next to a step


def benchmark_convolutions(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the ranking step of our network against the same network with `nnx.Conv` everywhere.

    Args:
        batch_size: Number of images in a batch.
        height: Height of an image.
        width: Width of an image.
        rounds: Number of repetitions of each step.

    Returns:
        The rows of `compare_steps`.
    """
    config = overlay(loss={"terms": "ranking"})
    batch = random_batch(batch_size, height, width)
    networks = {
        "nnx.Conv everywhere": with_plain_convolutions(build_model(config.model, rngs=nnx.Rngs(0))),
        "ours": build_model(config.model, rngs=nnx.Rngs(0)),
    }
    steps = {name: build_step(model, config, batch) for name, model in networks.items()}
    return compare_steps(steps, rounds)


def benchmark_balancers(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the recipe's step with each balancer and with the discriminator, and rebalancing alone.

    Arguments and result are those of `benchmark_convolutions`.
    """
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
        name: build_step(build_model(config.model, rngs=nnx.Rngs(0)), config, batch) for name, config in configs.items()
    }
    return compare_steps(steps | {f"rebalancing alone, {UPDATES} times": build_rebalancing()}, rounds)


def benchmark_losses(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the step with the affine terms of a teacher's depth against that with the pixel-wise term.

    Arguments and result are those of `benchmark_convolutions`.
    """
    batch = random_batch(batch_size, height, width)
    configs = {
        "pixelwise": {"terms": "ranking+pixelwise"},
        "affine": {"terms": "ranking+affine"},
        "affine, trimmed": {"terms": "ranking+affine", "trim": 0.2},
        "affine + gradient_matching": {"terms": "ranking+affine+gradient_matching"},
    }
    steps = {}
    for name, loss in configs.items():
        config = overlay(loss=loss)
        steps[f"ranking + {name}"] = build_step(build_model(config.model, rngs=nnx.Rngs(0)), config, batch)
    return compare_steps(steps, rounds)


def benchmark_encoders(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the ranking step of every encoder with the FBNet decoder, and its compilation, against MobileNetV2.

    Arguments and result are those of `benchmark_convolutions`, with the column `compile_ratio`.
    """
    batch = random_batch(batch_size, height, width)
    configs = {name: overlay(loss={"terms": "ranking"}, model={"encoder": name}) for name in ENCODERS}
    configs = {"mobilenet_v2": configs["mobilenet_v2"], **configs}
    steps = {
        name: build_step(build_model(config.model, rngs=nnx.Rngs(0)), config, batch) for name, config in configs.items()
    }
    rows = compare_steps(steps, rounds)
    return [row | {"compile_ratio": row["compile"] / rows[0]["compile"]} for row in rows]


def compare_steps(steps: Mapping[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Times functions in turn.

    Args:
        steps: Functions by name; the first call of each compiles it.
        rounds: Number of repetitions of each, the mean of two calls.

    Returns:
        A row for each function: `step` is its name, `seconds` the median of its repetitions, `min` the fastest one,
        `compile` the seconds of the first call, `ratio` the median relative to that of the first function.
    """
    compile_seconds = {name: timeit.timeit(step, number=1) for name, step in steps.items()}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _, (name, step) in itertools.product(range(rounds), steps.items()):
        seconds[name].append(timeit.timeit(step, number=2) / 2)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reference = next(iter(medians.values()))
    return [
        {"step": name, "seconds": medians[name], "min": min(values), "compile": compile_seconds[name],
         "ratio": medians[name] / reference}
        for name, values in seconds.items()
    ]  # fmt: skip


def with_plain_convolutions(model: DepthNet) -> DepthNet:
    """Replaces every convolution, in place, by `nnx.Conv` with the same kernel."""
    for _, module in list(nnx.iter_graph(model)):
        for name, layer in list(vars(module).items()) if isinstance(module, nnx.Module) else []:
            if isinstance(layer, Conv | DepthwiseConv):
                setattr(module, name, plain_convolution(layer))
    return model


def plain_convolution(layer: Conv | DepthwiseConv) -> nnx.Module:
    """Builds the `nnx.Conv` that is equal to a layer, after nearest up-sampling where the layer up-samples."""
    kernel = layer.kernel[...]
    groups = layer.out_channels if isinstance(layer, DepthwiseConv) else 1
    bias = layer.bias if isinstance(layer, Conv) else None
    plain = nnx.Conv(
        kernel.shape[2] * groups, kernel.shape[3], kernel.shape[:2], layer.stride, padding=layer.padding,
        feature_group_count=groups, use_bias=bias is not None, rngs=nnx.Rngs(0),
    )  # fmt: skip
    plain.kernel[...] = kernel
    if bias is not None:
        plain.bias = nnx.Param(bias[...])
    upsample = isinstance(layer, DepthwiseConv) and layer.upsample
    return nnx.Sequential(repeat_twice, plain) if upsample else plain


def repeat_twice(x: jax.Array) -> jax.Array:
    """Doubles height and width by repetition."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def random_batch(batch_size: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Draws a batch of noise with one pair per image, and a teacher's maps and features."""
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (batch_size, height, width, 3), dtype=np.uint8),
        "points": rng.integers(0, (height, width), (batch_size, 1, 2, 2), dtype=np.int32),
        "relation": np.ones((batch_size, 1), np.int32),
        "valid": np.ones((batch_size, 1), bool),
        "teacher_depth": rng.uniform(1, 9, (batch_size, height, width, 1)).astype(np.float32),
        "teacher_features": rng.normal(size=(batch_size, height // 2, width // 2, 32)).astype(np.float32),
    }


def build_step(model: DepthNet, config: ConfigDict, batch: dict[str, np.ndarray]) -> Callable[[], dict[str, jax.Array]]:
    """Builds a function that takes one training step, waits for it and returns its metrics.

    Args:
        model: Network.
        config: Configuration, from which losses, balancer, discriminator and optimizer are built.
        batch: Batch of every step.
    """
    mesh = make_mesh()
    objective = make_objective(config, Supervision(depth=True, teacher_depth=True, teacher_features=True))
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


def build_rebalancing() -> Callable[[], object]:
    """Builds a function that runs `UPDATES` times what rebalancing adds to a step, and waits for it."""
    config, weights = overlay(), dict.fromkeys(RECIPE, 1 / len(RECIPE))
    balancer = make_balancer(config, weights, steps_per_epoch=1000)
    losses = {name: jnp.float32(1) for name in RECIPE}
    update = jax.jit(lambda state: balancer.update({}, state, losses=losses)[1])
    current = [balancer.init({})]

    def once() -> None:
        for _ in range(UPDATES):
            current[0] = jax.block_until_ready(update(current[0]))

    return once
