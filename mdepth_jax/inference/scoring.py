"""Scores of a trained network on a data set."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mdepth_jax.data import loading, pipeline
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.types import Batch, EvalSet, Source, WantedMaps
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
        source: Held-out set.
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
    spec = loading.eval_spec(config, WantedMaps(depth=has_maps))
    spec = dataclasses.replace(spec, batch_size=mesh.size * -(-batch_size // mesh.size))
    depth_spec = dataclasses.replace(spec, crop=config.data.crop) if has_maps else spec
    held_out = EvalSet(lambda: _open_batches(source, spec if source.max_pairs else depth_spec))
    if has_maps:
        crop = CROPS[config.data.eval_crop]
        held_out = held_out._replace(truths=lambda: pipeline.eval_truths(source, depth_spec, crop))
    if source.max_pairs and depth_spec != spec:
        held_out = held_out._replace(depth_batches=lambda: _open_batches(source, depth_spec))
    return evaluate(eval_step, held_out, mesh, log=config.data.log, align=align, has_ratio=predicts_depth(config))


def _open_batches(source: Source, spec: pipeline.BatchSpec) -> Iterator[Batch]:
    return pipeline.eval_batches(source, dataclasses.replace(spec, depth=False, teacher_depth=False))


def to_json(evaluation: Evaluation, scores: Mapping[str, Score] | None = None) -> dict[str, Any]:
    """Converts an evaluation to JSON: plain values, the numbers behind them, and the full scores.

    Args:
        evaluation: Result of the evaluation.
        scores: Its scores with their origin; None for none.
    """
    result: dict[str, Any] = dict(evaluation.scores)
    if evaluation.total:
        result |= {"interval": evaluation.interval} if evaluation.interval is not None else {}
        result |= {
            "pairs": evaluation.total,
            "wrong": evaluation.wrong,
            "row_whdr": evaluation.row_whdr,
        }
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
