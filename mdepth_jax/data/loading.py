"""Opens the data of a run."""

import bisect
import dataclasses
import itertools
import pathlib
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.data import pipeline
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.holdout import count_held_out, hold_out
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.data.types import Data, DataSetInfo, EvalSet, Example, Source, Supervision, WantedMaps
from mdepth_jax.errors import UserError


class Concatenation:
    """Source that concatenates several sources, of no single data set."""

    info = DataSetInfo()
    split = teacher_meaning = ""

    def __init__(self, *sources: Source):
        self.sources = sources
        self.max_pairs = max(source.max_pairs for source in sources)
        self._ends = list(itertools.accumulate(len(source) for source in sources))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Example:
        number = bisect.bisect_right(self._ends, index)
        return self.sources[number][index - self._ends[number] + len(self.sources[number])]


class Sources(NamedTuple):
    """Data sets of a run.

    Attributes:
        train: Training set, without the images that are held out.
        val: Validation set; None if nothing is held out.
        test: Test set; a teacher's maps are optional there, because they are only drawn, as in a validation split.
    """

    train: Source
    val: Source | None
    test: Source


def open_sources(config: ConfigDict, wanted: WantedMaps) -> Sources:
    """Opens the data sets of a run.

    The validation set is the split `data.val`, or `data.val_share` of the labeled training images; scenes are rendered
    for it, as many as that share of the training scenes.

    Args:
        config: Complete configuration.
        wanted: Maps to read.

    Raises:
        UserError: If a data set or its split is missing or damaged.
    """
    data = config.data
    if data.source == "scenes":
        count = count_held_out(data.count, data.val_share)
        val: Source | None = _render(data, count, "validation", data.val_seed) if count else None
        scenes = Scenes(data.count, data.height, data.width, seed=config.seed, pairs_per_image=data.pairs or 1)
        return Sources(scenes, val, open_test_source(config, wanted))
    maps = _make_maps(data, wanted)
    train = _open_split(data, data.train, maps)
    if data.val:
        val = _open_split(data, data.val, dataclasses.replace(maps, teacher_optional=True))
    else:
        train, val = hold_out(train, data.val_share, data.val_seed)
    if data.unlabelled:
        train = Concatenation(train, ImageFolder(pathlib.Path(data.unlabelled), maps=maps))
    return Sources(train, val, open_test_source(config, wanted))


def open_test_source(config: ConfigDict, wanted: WantedMaps) -> Source:
    """Opens the test set of a run.

    Args:
        config: Complete configuration.
        wanted: Maps to read.

    Raises:
        UserError: If the data set or its split is missing or damaged.
    """
    data = config.data
    if data.source == "scenes":
        return _render(data, data.eval_count, "test", 0)
    return _open_split(data, data.eval, dataclasses.replace(_make_maps(data, wanted), teacher_optional=True))


def open_data(config: ConfigDict, wanted: WantedMaps) -> tuple[Data, Supervision]:
    """Opens the data of a run.

    Args:
        config: Complete configuration.
        wanted: Maps to read.

    Returns:
        This host's part of every batch, and the supervision that the data and the teacher provide.

    Raises:
        UserError: If a data set is missing or damaged, cannot fill the batches, or lacks what is to be measured on it.
    """
    sources = open_sources(config, wanted)
    train, val, test = sources
    _check_labels(config, wanted, sources)
    supervision = Supervision(
        pairs=bool(train.max_pairs or config.data.sampled_pairs),
        depth=wanted.depth or config.data.source == "scenes",
        teacher_depth=wanted.teacher_depth or bool(config.teacher.run),
        teacher_features=bool(config.teacher.run),
        teacher_meanings=_teacher_meanings(train, config) if wanted.teacher_depth else (),
    )
    spec = batch_spec(config, wanted)
    pairs = max(source.max_pairs for source in (val, test) if source is not None)  # one compiled evaluation for both
    data = Data(
        train=lambda step: pipeline.train_batches(train, spec, seed=config.seed, start_step=step, **_host()),
        steps_per_epoch=pipeline.steps_per_epoch(train, spec),
        test=_open_eval_set(test, config, wanted, pairs),
        val=None if val is None else _open_eval_set(val, config, wanted, pairs),
        train_sets=_name_sets(train, config.data),
    )
    for held_out in (data.val, data.test):
        if held_out and held_out.truths:
            next(held_out.truths(), None)  # a map that does not fit its crop is found before the training
    return data, supervision


def _check_labels(config: ConfigDict, wanted: WantedMaps, sources: Sources) -> None:
    """Checks that the validation set can choose, and that there is something to measure on the test set."""
    if config.train.best_by == "whdr" and sources.val is not None and not sources.val.max_pairs:
        raise UserError(
            "the validation set has no ordinal pairs to choose weights by; keep the last weights: set"
            " `config.data.val_share=0`, choose by depth: set `config.train.best_by=rmse`, or name a split with pairs:"
            " `config.data.val=SPLIT`"
        )
    if not (sources.test.max_pairs or wanted.depth):
        raise UserError(
            "the test set has no ordinal pairs; measure depth: set `config.train.best_by=rmse`, or name a split with"
            " pairs: `config.data.eval=SPLIT`"
        )


def _open_eval_set(source: Source, config: ConfigDict, wanted: WantedMaps, pairs: int) -> EvalSet:
    return pipeline.open_eval_set(
        source,
        dataclasses.replace(eval_spec(config, wanted), pairs=pairs),
        view=config.data.crop,
        crop=CROPS[config.data.eval_crop],
        has_maps=wanted.depth,
        info=_name_sets(source, config.data)[0],
        **_host(),
    )


def _host() -> dict[str, int]:
    return {"process_index": jax.process_index(), "process_count": jax.process_count()}


def _render(data: ConfigDict, count: int, split: str, seed: int) -> Scenes:
    return Scenes(count, data.height, data.width, split=split, seed=seed, pairs_per_image=data.eval_pairs)


def _parts(source: Source) -> tuple[Source, ...]:
    return source.sources if isinstance(source, Concatenation) else (source,)


def _name_sets(source: Source, data: ConfigDict) -> tuple[DataSetInfo, ...]:
    """Returns the data sets of a source; an unknown one is named after its folder."""
    return tuple(
        part.info if part.info.name else dataclasses.replace(part.info, name=licenses.name_unknown(folder))
        for part, folder in zip(_parts(source), (data.root, data.unlabelled), strict=False)
    )


def _teacher_meanings(source: Source, config: ConfigDict) -> tuple[str, ...]:
    """Returns the meanings of the cached maps of a source, each once.

    Raises:
        UserError: If `teacher.inverted` would turn maps that are read the right way round already.
    """
    meanings = tuple(dict.fromkeys(part.teacher_meaning for part in _parts(source)))
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
    """Returns the form of a batch of a validation or test set: whole images, with all pairs.

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
