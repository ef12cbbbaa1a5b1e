"""From a configuration to the data of a run."""

import bisect
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
from ml_collections import ConfigDict

from mdepth_jax.data import pipeline
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.data.types import Data, Example, Source, Supervision
from mdepth_jax.errors import UserError

DEPTH_TERMS = ("dense", "l1", "mannequin")


class Concatenation:
    """Several sources, one after the other; a `Source`."""

    def __init__(self, *sources: Source):
        self.sources = sources
        self.max_pairs = max(source.max_pairs for source in sources)
        self._ends = list(itertools.accumulate(len(source) for source in sources))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Example:
        number = bisect.bisect_right(self._ends, index)
        return self.sources[number][index - self._ends[number] + len(self.sources[number])]


def open_train_source(config: ConfigDict) -> Source:
    """Opens the training set, with the maps that the configuration asks for.

    Raises:
        UserError: As `sources.open_source`.
    """
    data = config.data
    if data.source == "scenes":
        return Scenes(data.count, data.height, data.width, seed=config.seed, pairs_per_image=data.pairs or 1)
    labelled = _open_split(data, data.train, _maps(config))
    if not data.unlabelled:
        return labelled
    return Concatenation(labelled, ImageFolder(pathlib.Path(data.unlabelled), maps=_maps(config)))


def open_eval_source(config: ConfigDict) -> Source:
    """Opens the held-out set. A teacher's maps are not needed there: they are only looked at.

    Raises:
        UserError: As `sources.open_source`.
    """
    data = config.data
    if data.source == "scenes":
        return Scenes(data.eval_count, data.height, data.width, split="test", pairs_per_image=data.eval_pairs)
    return _open_split(data, data.eval, dataclasses.replace(_maps(config), teacher_optional=True))


def open_data(config: ConfigDict) -> tuple[Data, Supervision]:
    """Makes the batches of a run, this host's part of each, and tells what they teach.

    Raises:
        UserError: As `sources.open_source` and the pipeline.
    """
    train, held_out = open_train_source(config), open_eval_source(config)
    if config.train.best_by == "whdr" and not held_out.max_pairs:
        raise UserError("the held-out set has no ordinal pairs; choose weights by depth: --config.train.best_by=rmse")
    supervision = Supervision(
        pairs=bool(train.max_pairs or config.data.sampled_pairs),
        depth=uses_depth(config) or config.data.source == "scenes",
        teacher_depth=config.teacher.maps or bool(config.teacher.run),
        teacher_features=bool(config.teacher.run),
    )
    spec = batch_spec(config)
    host = {"process_index": jax.process_index(), "process_count": jax.process_count()}

    def truths() -> Iterator[np.ndarray | None]:
        return pipeline.eval_truths(held_out, spec, CROPS[config.data.eval_crop], **host)

    if uses_depth(config):
        next(truths(), None)  # a map that does not fit its crop is found out before the training
    data = Data(
        lambda step: pipeline.train_batches(train, spec, seed=config.seed, start_step=step, **host),
        lambda: pipeline.eval_batches(held_out, eval_spec(config), **host),
        pipeline.steps_per_epoch(train, spec),
        truths if uses_depth(config) else None,
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
        depth=uses_depth(config) or data.source == "scenes",
        teacher_depth=config.teacher.maps,
        log=data.log,
    )


def eval_spec(config: ConfigDict) -> pipeline.BatchSpec:
    """Reads the form of a batch of the held-out set: all pairs."""
    return dataclasses.replace(batch_spec(config), pairs=None)


def uses_depth(config: ConfigDict) -> bool:
    """Tells whether a run learns from depth maps or is judged by them."""
    learns = any(term in DEPTH_TERMS for term in config.loss.terms.split("+"))
    return learns or config.train.best_by != "whdr"


def _open_split(data: ConfigDict, split: str, maps: Maps) -> Source:
    root = pathlib.Path(data.root)
    if split.endswith(".csv"):
        return open_source(pathlib.Path(split), root=root, maps=maps)
    if root.is_file():
        raise UserError(
            f"config.data.root={root}: a file is one set, training needs two; give the folder of the images, and the"
            " files by --config.data.train=FILE.csv --config.data.eval=FILE.csv"
        )
    return open_source(root, split, maps=maps)


def _maps(config: ConfigDict) -> Maps:
    return Maps(
        depth=config.data.depth_scale if uses_depth(config) or config.data.sampled_pairs else None,
        teacher_depth=config.data.map_scale if config.teacher.maps else None,
    )
