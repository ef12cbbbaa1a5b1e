"""Measures speed. Every figure stands beside a reference that is measured in the same run, in turn.

python -m mdepth_jax.benchmark step [--batch_size 4 --height 224 --width 448]   the training step
python -m mdepth_jax.benchmark data                                             the data pipeline
"""

import argparse
import itertools
import json
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mdepth_jax import cli
from mdepth_jax.data import pipeline
from mdepth_jax.data.scenes import Scenes
from mdepth_jax.models import DepthNet, build_model
from mdepth_jax.models.layers import Conv, DepthwiseConv
from mdepth_jax.training import state as states
from mdepth_jax.training.config import default
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.step import make_mesh, make_train_step, replicate, shard_batch

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, and writes it as JSON if asked; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["step", "data"])
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--height", type=int, default=224)
    parser.add_argument("--width", type=int, default=448)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each row")
    parser.add_argument("--json", type=pathlib.Path, help="file to write the table to")
    args = parser.parse_args(argv)
    measure = {"step": benchmark_step, "data": benchmark_data}[args.what]
    rows = measure(args.batch_size, args.height, args.width, args.rounds)
    print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, batch {args.batch_size}, {args.height}x{args.width}")
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.3f}" if isinstance(value, float) else f"{value:<24}" for key, value in row.items()
            )
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def benchmark_step(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the ranking step of our network against the same network with `nnx.Conv` everywhere."""
    config = default()
    networks = {
        "nnx.Conv everywhere": with_plain_convolutions(build_model(config.model, rngs=nnx.Rngs(0))),
        "ours": build_model(config.model, rngs=nnx.Rngs(0)),
    }
    batch = random_batch(batch_size, height, width)
    steps = {name: training_step(model, batch) for name, model in networks.items()}
    compile_seconds = {name: timed(step) for name, step in steps.items()}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _, (name, step) in itertools.product(range(rounds), steps.items()):
        seconds[name].append(timed(step))
    reference = statistics.median(seconds["nnx.Conv everywhere"])
    return [
        {"network": name, "seconds": statistics.median(values), "min": min(values), "compile": compile_seconds[name],
         "times_faster": reference / statistics.median(values)}
        for name, values in seconds.items()
    ]  # fmt: skip


def benchmark_data(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the embedded scenes through the pipeline, against reading one by one."""
    source = Scenes(rounds * 64, height, width)
    spec = pipeline.BatchSpec(height=height, width=width, batch_size=batch_size, depth=True)
    count = rounds * 32 // batch_size
    batches = pipeline.train_batches(source, spec, seed=0)
    next(batches)
    one_by_one = timed(lambda: [source[index] for index in range(count * batch_size)])
    piped = timed(lambda: [next(batches) for _ in range(count)])
    images = count * batch_size
    return [
        {"source": "scenes, one by one", "images_per_second": images / one_by_one, "times_faster": 1.0},
        {
            "source": "scenes, pipeline",
            "images_per_second": images / piped,
            "times_faster": one_by_one / piped,
        },
    ]


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
    """Makes a batch of noise with one pair per image."""
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (batch_size, height, width, 3), dtype=np.uint8),
        "points": rng.integers(0, (height, width), (batch_size, 1, 2, 2), dtype=np.int32),
        "relation": np.ones((batch_size, 1), np.int32),
        "valid": np.ones((batch_size, 1), bool),
    }


def training_step(model: DepthNet, batch: dict[str, np.ndarray]) -> Callable[[], object]:
    """Makes a function that does one whole training step and waits for it."""
    mesh = make_mesh()
    optimizer = states.make_optimizer(default(), {"ranking": 1.0}, optax.constant_schedule(1e-4), 1000)
    graph, state = states.create(model, optimizer)
    step = make_train_step(graph, optimizer, Objective(("ranking",), heads=2))
    current = [replicate(state, mesh)]
    arrays = shard_batch(batch, mesh)

    def once() -> None:
        current[0], scalars = step(current[0], arrays)
        jax.block_until_ready(scalars)

    return once


def timed(function: Callable[[], object]) -> float:
    """Gives the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    cli.run(main)
