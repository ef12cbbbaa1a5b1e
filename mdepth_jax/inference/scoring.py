"""Scores of a trained network on a data set."""

import dataclasses
from collections.abc import Callable, Mapping
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
from mdepth_jax.models.score import Score, write_scores
from mdepth_jax.training.evaluation import Evaluation, evaluate
from mdepth_jax.training.provenance import predicts_depth
from mdepth_jax.training.step import Arrays, make_eval_step, make_mesh, replicate, score_pairs


def evaluate_network(
    network: DepthNet | Callable[[np.ndarray], np.ndarray],
    source: Source,
    config: ConfigDict,
    *,
    batch_size: int,
    has_maps: bool = False,
    align: str = "none",
) -> Evaluation:
    """Evaluates a network: a Flax network on all devices, the interpreter of a file on the CPU.

    Pairs are judged on whole images, depth maps in the view of the run, see `training.provenance.make_protocols`.

    Args:
        network: Flax network in evaluation mode, or a function from images `[B, H, W, 3]` to predictions
            `[B, H, W, 1]`, such as the interpreter of a `.tflite` file.
        source: Data set to evaluate on.
        config: Configuration of the run that made the network, with the size of the network's input.
        batch_size: Batch size; it is rounded up to a multiple of the number of devices.
        has_maps: Whether to compare with the set's depth maps.
        align: Alignment of each prediction, see `mdepth_jax.training.evaluation.evaluate`.
    """
    if isinstance(network, DepthNet):
        mesh = make_mesh()
        eval_step = _make_network_step(network, mesh)
    else:
        mesh = make_mesh(jax.devices()[:1])
        eval_step = _make_function_step(network)
    spec = dataclasses.replace(
        loading.eval_spec(config, WantedMaps()),
        batch_size=mesh.size * -(-batch_size // mesh.size),
        depth=False,  # of scenes: nothing here draws it
    )
    held_out = pipeline.open_eval_set(
        source, spec, view=config.data.crop, crop=CROPS[config.data.eval_crop], has_maps=has_maps
    )
    return evaluate(eval_step, held_out, mesh, log=config.data.log, align=align, has_ratio=predicts_depth(config))


def to_json(evaluation: Evaluation, scores: Mapping[str, Score] | None = None) -> dict[str, Any]:
    """Converts an evaluation to JSON: plain values, the numbers behind them, and the full scores.

    Args:
        evaluation: Result of the evaluation.
        scores: Its scores with their origin; None for none.
    """
    result: dict[str, Any] = dict(evaluation.scores)
    if evaluation.total:
        interval = evaluation.interval
        result |= {"interval": interval} if interval is not None else {}
        result |= {"pairs": evaluation.total, "wrong": evaluation.wrong, "row_whdr": evaluation.row_whdr}
    if evaluation.maps:
        result |= {"depth_maps": evaluation.maps}
    return result | {"scores": write_scores(scores)} if scores else result


def _make_network_step(model: DepthNet, mesh: Mesh) -> Callable[[Arrays], Arrays]:
    parts: tuple[Any, ...] = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, params, batch_stats = parts
    params, batch_stats = replicate((params, batch_stats), mesh)
    eval_step = make_eval_step(graph)
    return lambda batch: eval_step(params, batch_stats, batch)


def _make_function_step(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    score = jax.jit(score_pairs)
    return lambda batch: score(jnp.asarray(predict(np.asarray(batch["image"]))), batch)
