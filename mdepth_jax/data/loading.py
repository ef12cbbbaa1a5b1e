"""From a configuration to the data of a run."""

import dataclasses
import pathlib

import jax
from ml_collections import ConfigDict

from mdepth_jax.data import pipeline
from mdepth_jax.data.scenes import Scenes
from mdepth_jax.data.sources import Concatenation, ImageFolder, Maps, open_source
from mdepth_jax.data.types import Data, Source, Supervision


def open_train_source(config: ConfigDict) -> Source:
    """Opens the training set, with the maps that the configuration asks for.

    Raises:
        UserError: As `sources.open_source`.
    """
    data = config.data
    if data.source == "scenes":
        return Scenes(data.count, data.height, data.width, seed=config.seed, pairs_per_image=data.pairs or 1)
    labelled = open_source(pathlib.Path(data.root), data.train, maps=_maps(config))
    if not data.unlabelled:
        return labelled
    return Concatenation(labelled, ImageFolder(pathlib.Path(data.unlabelled), maps=_maps(config)))


def open_eval_source(config: ConfigDict) -> Source:
    """Opens the held-out set.

    Raises:
        UserError: As `sources.open_source`.
    """
    data = config.data
    if data.source == "scenes":
        return Scenes(data.eval_count, data.height, data.width, split="test", pairs_per_image=data.eval_pairs)
    return open_source(pathlib.Path(data.root), data.eval, maps=_maps(config))


def open_data(config: ConfigDict) -> tuple[Data, Supervision]:
    """Makes the batches of a run, this host's part of each, and tells what they teach.

    Raises:
        UserError: As `sources.open_source` and the pipeline.
    """
    train, held_out = open_train_source(config), open_eval_source(config)
    supervision = Supervision(
        depth=_uses_depth(config),
        teacher_depth=config.teacher.maps or bool(config.teacher.run),
        teacher_features=bool(config.teacher.run),
    )
    spec = batch_spec(config)
    host = {"process_index": jax.process_index(), "process_count": jax.process_count()}
    data = Data(
        lambda step: pipeline.train_batches(train, spec, seed=config.seed, start_step=step, **host),
        lambda: pipeline.eval_batches(held_out, dataclasses.replace(spec, pairs=None), **host),
        pipeline.steps_per_epoch(train, spec),
    )
    return data, supervision


def batch_spec(config: ConfigDict) -> pipeline.BatchSpec:
    """Reads the form of a batch from a configuration."""
    data = config.data
    return pipeline.BatchSpec(
        height=data.height,
        width=data.width,
        batch_size=data.batch_size,
        pairs=data.pairs or None,
        sampled_pairs=data.sampled_pairs,
        scale=data.scale,
        rotation=data.rotation,
        crop=data.crop,
        flip=data.flip,
        jitter=data.jitter,
        depth=_uses_depth(config),
        teacher_depth=config.teacher.maps,
        log=data.log,
    )


def _uses_depth(config: ConfigDict) -> bool:
    return config.data.source == "scenes" or "dense" in config.loss.terms


def _maps(config: ConfigDict) -> Maps:
    return Maps(
        depth=config.data.depth_scale if _uses_depth(config) or config.data.sampled_pairs else None,
        teacher_depth=config.data.map_scale if config.teacher.maps else None,
    )
