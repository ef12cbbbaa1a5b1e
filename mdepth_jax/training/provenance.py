"""The origin of a network and the meaning of its depth, as the header of its weights states them."""

from collections.abc import Iterable, Sequence

from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.licenses import License, RunInputs
from mdepth_jax.models import Header, TrainingRun
from mdepth_jax.models.score import Protocol, Score, make_scores
from mdepth_jax.training.evaluation import Evaluation
from mdepth_jax.training.run_directory import complete_config
from mdepth_jax.training.terms import parse_terms


def has_unit(config: ConfigDict) -> bool:
    """Returns whether the loss terms of a run fix the unit of its depth to that of its depth maps."""
    return any(term.has_unit for term in parse_terms(config.loss.terms))


def predicts_depth(config: ConfigDict) -> bool:
    """Returns whether a run's network predicts depth up to a factor, or its logarithm: it learns from depth maps.

    One that learns from pairs or from a teacher's relative depth predicts relative depth, whose values have no ratio.
    """
    return any(term.reads_depth_maps for term in parse_terms(config.loss.terms))


def default_alignment(config: ConfigDict) -> str:
    """Returns the alignment with which the depth of a run's network is compared with depth maps.

    Relative depth is aligned to the mean and the standard deviation of NYUv2 (`metrics.align_to_nyu`), image by image,
    for all metrics of dense depth: "nyu". It is the protocol by which the paper's references score networks trained on
    pairs (Chen et al. 2016, Xian et al. 2018), and it does not read the truth, which a fit of two numbers to each depth
    map would. Networks trained on depth maps are compared as they are: "none".
    """
    return "none" if predicts_depth(config) else "nyu"


def make_protocols(config: ConfigDict, align: str | None = None) -> tuple[Protocol, Protocol]:
    """Returns the protocols by which a run's network is evaluated.

    Pairs are judged on whole images, so that every pair counts. Depth maps are judged in the part of the image that
    the network is trained for: the middle if its training crops.

    Args:
        config: Configuration of the run.
        align: Alignment to depth maps; None for that of `default_alignment`.

    Returns:
        The protocol of WHDR and that of the metrics of dense depth.
    """
    data = config.data
    size = {"height": data.height, "width": data.width}
    view = "whole" if data.crop == "none" else "middle"
    ordinal = Protocol(view="whole", crop="none", align="none", **size)
    return ordinal, Protocol(view=view, crop=data.eval_crop, align=align or default_alignment(config), **size)


def score_evaluation(
    evaluation: Evaluation,
    config: ConfigDict,
    *,
    data: DataSetInfo,
    split: str,
    align: str | None = None,
    step: int | None = None,
    weights: str = "",
) -> dict[str, Score]:
    """Returns the scores of an evaluation, by metric, with their origin.

    Args:
        evaluation: Result of the evaluation.
        config: Configuration of the run.
        data: Data set that was evaluated on.
        split: Name of its split.
        align: Alignment to depth maps; None for that of `default_alignment`.
        step: Training step of the weights.
        weights: SHA-256 of the file of weights; empty if unknown.
    """
    ordinal, dense = make_protocols(config, align)
    return make_scores(
        evaluation.scores,
        pairs=evaluation.total,
        depth_maps=evaluation.maps,
        data=data,
        split=split,
        ordinal=ordinal,
        dense=dense,
        step=step,
        weights=weights,
        interval=evaluation.interval,
    )


def describe_depth(config: ConfigDict) -> str:
    """Describes the depth of a run's network: its sign and its unit."""
    if has_unit(config):
        return "depth in the unit of the depth maps of its training, larger = farther"
    return "relative depth, larger = farther: no unit, no fixed range, not meters and not disparity"


def describe_output(config: ConfigDict) -> str:
    """Describes the output of a run's network: depth, or a factor times its logarithm."""
    log = config.data.log
    return describe_depth(config) + (f"; {log:g} times its natural logarithm" if log else "")


def describe_initial_weights(config: ConfigDict, earlier: Sequence[TrainingRun]) -> str:
    """Describes the weights that a run starts from.

    Args:
        config: Configuration of the run.
        earlier: Runs that they have been through, the first one first.
    """
    if earlier:
        return "those of the run before"
    if config.model.start or config.model.widths:
        return config.model.start or licenses.UNKNOWN
    return config.model.pretrained or "random"


def find_licenses(runs: Iterable[TrainingRun]) -> list[License]:
    """Finds the terms of everything that runs read, each once; a run without its configuration adds nothing.

    Args:
        runs: Runs that weights went through, the first run first.

    Raises:
        UserError: If a configuration has keys that this version does not know.
    """
    return licenses.find_licenses(
        RunInputs(
            complete_config(run.config, "the header of the weights"),
            tuple(License(info.name, info.terms or licenses.UNKNOWN, info.reference) for info in run.data),
        )
        for run in runs
        if run.config
    )


def list_licenses(header: Header) -> list[License]:
    """Lists the terms of the code and of everything that a network was trained with.

    Raises:
        UserError: If a configuration has keys that this version does not know.
    """
    return [licenses.CODE, *find_licenses(header.lineage)]
