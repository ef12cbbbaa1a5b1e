"""Opens the data of a run."""

import bisect
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.data import pipeline
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.data.types import Data, DataSetInfo, Example, Source, Supervision, WantedMaps
from mdepth_jax.errors import UserError


class Concatenation:
    """Source that concatenates several sources, of no single data set."""

    info = DataSetInfo()
    split = ""

    def __init__(self, *sources: Source):
        self.sources = sources
        self.max_pairs = max(source.max_pairs for source in sources)
        self._ends = list(itertools.accumulate(len(source) for source in sources))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Example:
        number = bisect.bisect_right(self._ends, index)
        return self.sources[number][index - self._ends[number] + len(self.sources[number])]


def open_train_source(config: ConfigDict, wanted: WantedMaps) -> Source:
    """Opens the training set.

    Args:
        config: Complete configuration.
        wanted: Maps to read.

    Raises:
        UserError: If the data set or its split is missing or damaged.
    """
    data = config.data
    if data.source == "scenes":
        return Scenes(data.count, data.height, data.width, seed=config.seed, pairs_per_image=data.pairs or 1)
    maps = _make_maps(data, wanted)
    labelled = _open_split(data, data.train, maps)
    if not data.unlabelled:
        return labelled
    return Concatenation(labelled, ImageFolder(pathlib.Path(data.unlabelled), maps=maps))


def open_eval_source(config: ConfigDict, wanted: WantedMaps) -> Source:
    """Opens the held-out set; a teacher's maps are optional there, because they are only drawn.

    Args:
        config: Complete configuration.
        wanted: Maps to read.

    Raises:
        UserError: If the data set or its split is missing or damaged.
    """
    data = config.data
    if data.source == "scenes":
        return Scenes(data.eval_count, data.height, data.width, split="test", pairs_per_image=data.eval_pairs)
    return _open_split(data, data.eval, dataclasses.replace(_make_maps(data, wanted), teacher_optional=True))


def open_data(config: ConfigDict, wanted: WantedMaps) -> tuple[Data, Supervision]:
    """Opens both sets of a run.

    Args:
        config: Complete configuration.
        wanted: Maps to read.

    Returns:
        This host's part of every batch, and the supervision that the data and the teacher provide.

    Raises:
        UserError: If a data set is missing or damaged, or cannot fill the batches.
    """
    train, held_out = open_train_source(config, wanted), open_eval_source(config, wanted)
    if config.train.best_by == "whdr" and not held_out.max_pairs:
        raise UserError(
            "the held-out set has no ordinal pairs; choose weights by depth: set `config.train.best_by=rmse`"
        )
    supervision = Supervision(
        pairs=bool(train.max_pairs or config.data.sampled_pairs),
        depth=wanted.depth or config.data.source == "scenes",
        teacher_depth=wanted.teacher_depth or bool(config.teacher.run),
        teacher_features=bool(config.teacher.run),
        teacher_meanings=_teacher_meanings(train, config) if wanted.teacher_depth else (),
    )
    spec, held_out_spec = batch_spec(config, wanted), eval_spec(config, wanted)
    depth_spec = dataclasses.replace(held_out_spec, crop=config.data.crop)
    has_two_views = wanted.depth and bool(held_out.max_pairs) and depth_spec != held_out_spec
    if not held_out.max_pairs:
        held_out_spec = depth_spec
    host = {"process_index": jax.process_index(), "process_count": jax.process_count()}

    def truths() -> Iterator[np.ndarray | None]:
        return pipeline.eval_truths(held_out, depth_spec, CROPS[config.data.eval_crop], **host)

    if wanted.depth:
        next(truths(), None)  # a map that does not fit its crop is found before the training
    data = Data(
        lambda step: pipeline.train_batches(train, spec, seed=config.seed, start_step=step, **host),
        lambda: pipeline.eval_batches(held_out, held_out_spec, **host),
        pipeline.steps_per_epoch(train, spec),
        truths if wanted.depth else None,
        (lambda: pipeline.eval_batches(held_out, depth_spec, **host)) if has_two_views else None,
        _name_sets(train, config.data),
        _name_sets(held_out, config.data)[0],
        held_out.split,
    )
    return data, supervision


def _name_sets(source: Source, data: ConfigDict) -> tuple[DataSetInfo, ...]:
    """Returns the data sets of a source; an unknown one is named after its folder."""
    parts = source.sources if isinstance(source, Concatenation) else (source,)
    return tuple(
        part.info if part.info.name else dataclasses.replace(part.info, name=licenses.name_unknown(folder))
        for part, folder in zip(parts, (data.root, data.unlabelled), strict=False)
    )


def _teacher_meanings(source: Source, config: ConfigDict) -> tuple[str, ...]:
    """Returns the meanings of the cached maps of a source, each once.

    Raises:
        UserError: If `teacher.inverted` would turn maps that are read the right way round already.
    """
    parts = source.sources if isinstance(source, Concatenation) else (source,)
    meanings = tuple(dict.fromkeys(part.maps.teacher.meaning for part in parts if hasattr(part, "maps")))
    if config.teacher.inverted and any(meanings):
        raise UserError(
            f"`config.teacher.inverted=True`, but about.json says that the teacher's maps are {' and '.join(meanings)}"
            " and training reads them accordingly; set `config.teacher.inverted=False`"
        )
    return meanings


def batch_spec(config: ConfigDict, wanted: WantedMaps) -> pipeline.BatchSpec:
    """Returns the form of a training batch.

    Args:
        config: Complete configuration.
        wanted: Maps to read.
    """
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
        depth=wanted.depth or data.source == "scenes",
        teacher_depth=wanted.teacher_depth,
        teacher_inverted=config.teacher.inverted,
        log=data.log,
    )


def eval_spec(config: ConfigDict, wanted: WantedMaps) -> pipeline.BatchSpec:
    """Returns the form of a batch of the held-out set: whole images, with all pairs.

    Args:
        config: Complete configuration.
        wanted: Maps to read.
    """
    return dataclasses.replace(batch_spec(config, wanted), pairs=None, crop="none")


def _open_split(data: ConfigDict, split: str, maps: Maps) -> Source:
    root = pathlib.Path(data.root)
    if split.endswith(".csv"):
        return open_source(pathlib.Path(split), root=root, maps=maps)
    if root.is_file():
        raise UserError(
            f"`config.data.root={root}`: a file is one set, training needs two; give the folder of the images, and the"
            " files by `config.data.train=FILE.csv` and `config.data.eval=FILE.csv`"
        )
    return open_source(root, split, maps=maps)


def _make_maps(data: ConfigDict, wanted: WantedMaps) -> Maps:
    return Maps(
        depth=data.depth_scale if wanted.depth or data.sampled_pairs else None,
        teacher_depth=data.map_scale if wanted.teacher_depth else None,
    )
