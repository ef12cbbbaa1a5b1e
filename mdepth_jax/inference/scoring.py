"""Scores a network, of JAX or in a `.tflite` file, on a held-out set."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mdepth_jax.data import loading, pipeline
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.types import Source, WantedMaps
from mdepth_jax.models import DepthNet
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.training.evaluation import Evaluation, evaluate
from mdepth_jax.training.step import Arrays, make_eval_step, make_mesh, replicate, score_pairs


def measure(
    network: DepthNet | DepthInterpreter,
    source: Source,
    config: ConfigDict,
    *,
    batch_size: int,
    has_maps: bool = False,
    align: bool = False,
) -> Evaluation:
    """Evaluates a network: of JAX on all devices, in a file on the CPU.

    Args:
        network: In evaluation mode.
        source: The held-out set.
        config: Of the run that made the network; its size is that of the network's images.
        batch_size: Rounded up to a multiple of the number of devices.
        has_maps: Whether the set's depth maps count.
        align: See `evaluate`.
    """
    if isinstance(network, DepthInterpreter):
        mesh = make_mesh(jax.devices()[:1])
        eval_step = _file_step(network)
    else:
        mesh = make_mesh()
        eval_step = _network_step(network, mesh)
    spec = loading.eval_spec(config, WantedMaps(depth=has_maps))
    spec = dataclasses.replace(spec, batch_size=mesh.size * -(-batch_size // mesh.size))
    truths = pipeline.eval_truths(source, spec, CROPS[config.data.eval_crop]) if has_maps else None
    batches = pipeline.eval_batches(source, dataclasses.replace(spec, depth=False, teacher_depth=False))
    return evaluate(eval_step, batches, mesh, truths, log=config.data.log, align=align)


def _network_step(model: DepthNet, mesh: Mesh) -> Callable[[Arrays], Arrays]:
    parts: tuple[Any, ...] = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, params, batch_stats = parts
    params, batch_stats = replicate((params, batch_stats), mesh)
    eval_step = make_eval_step(graph)
    return lambda batch: eval_step(params, batch_stats, batch)


def _file_step(interpreter: DepthInterpreter) -> Callable[[Arrays], Arrays]:
    score = jax.jit(score_pairs)
    return lambda batch: score(jnp.asarray(interpreter(np.asarray(batch["image"]))), batch)
