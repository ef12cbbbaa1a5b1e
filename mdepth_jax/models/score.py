"""Scores of weights, each with everything that it was measured on."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mdepth_jax.data.types import DataSetInfo

TITLES = {
    "whdr": "WHDR",
    "abs_rel": "AbsRel",
    "rmse": "RMSE",
    "delta1": "delta1",
    "delta2": "delta2",
    "delta3": "delta3",
    "si_rmse": "SI-RMSE",
}
METRICS = tuple(TITLES)
_ALIGNMENTS = {
    "nyu": "aligned to nyu",
    "affine": "scale and shift fitted to each depth map",
    "disparity": "scale and shift fitted to the disparity of each depth map",
}


@dataclass(frozen=True)
class Protocol:
    """Rule by which predictions are compared; whatever is unknown is empty.

    Attributes:
        view: Part of an image that the network sees: "whole", or "middle", the largest one with the network's aspect.
        crop: Pixels of a depth map that count: "none" for all, or "eigen".
        align: Alignment of each prediction before it is compared: "none", "nyu", or a fit to its own depth map,
            "affine" or "disparity", after which metrics are means over images.
        height: Height of the network's input in pixels.
        width: Width of the network's input in pixels.
    """

    view: str = ""
    crop: str = ""
    align: str = ""
    height: int = 0
    width: int = 0

    def __str__(self) -> str:
        if not self.view:
            return "unknown"
        part = "whole images" if self.view == "whole" else "the middle of images"
        parts = [f"{part} at {self.height}x{self.width}"]
        parts += [f"{self.crop} crop"] if self.crop != "none" else []
        parts += [_ALIGNMENTS.get(self.align, f"aligned to {self.align}")] if self.align != "none" else []
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Score:
    """Value of a metric, and where it comes from; whatever is unknown is empty.

    Attributes:
        metric: Name of the metric, one of `METRICS`.
        value: Value of the metric.
        data_set: Key of the data set, see `DataSetInfo`.
        data_name: Name of the data set.
        split: Name of its split.
        protocol: Rule of the evaluation.
        count: Number of ordinal pairs behind a WHDR, of depth maps behind any other metric.
        step: Training step of the weights.
        weights: SHA-256 of the file of weights in hexadecimal digits; empty in the header of that file itself.
        interval: Half of the 95 % confidence interval, by the bootstrap over images; None if unknown.
    """

    metric: str
    value: float
    data_set: str = ""
    data_name: str = ""
    split: str = ""
    protocol: Protocol = Protocol()
    count: int = 0
    step: int | None = None
    weights: str = ""
    interval: float | None = None

    @property
    def origin(self) -> str:
        """Data set and split in words."""
        return f"{self.data_name or 'unknown data'} {self.split}".strip()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Score":
        """Creates a score from its nested dictionaries in JSON; the inverse of `dataclasses.asdict`."""
        return cls(**{**values, "protocol": Protocol(**values.get("protocol", {}))})


def make_scores(
    values: Mapping[str, float],
    *,
    pairs: int = 0,
    depth_maps: int = 0,
    data: DataSetInfo | None = None,
    split: str = "",
    ordinal: Protocol | None = None,
    dense: Protocol | None = None,
    step: int | None = None,
    weights: str = "",
    interval: float | None = None,
) -> dict[str, Score]:
    """Creates the scores of one evaluation, by metric.

    Args:
        values: Values by metric.
        pairs: Number of ordinal pairs.
        depth_maps: Number of depth maps.
        data: Data set; None if unknown.
        split: Name of its split.
        ordinal: Protocol of WHDR; None if unknown.
        dense: Protocol of the other metrics; None if unknown.
        step: Training step of the weights.
        weights: SHA-256 of the file of weights.
        interval: Half of the 95 % confidence interval of WHDR; None if unknown.
    """
    data = data or DataSetInfo()
    return {
        metric: Score(
            metric=metric,
            value=float(value),
            data_set=data.key,
            data_name=data.name,
            split=split,
            protocol=(ordinal if metric == "whdr" else dense) or Protocol(),
            count=pairs if metric == "whdr" else depth_maps,
            step=step,
            weights=weights,
            interval=interval if metric == "whdr" else None,
        )
        for metric, value in values.items()
    }


def read_scores(values: Mapping[str, Any]) -> dict[str, Score]:
    """Reads the scores in a header of weights, in the metadata of an exported file or in a result of `evaluate`.

    Args:
        values: Object of JSON. Its entry `scores` holds scores by metric; an earlier version wrote plain numbers, there
            or next to it, which become scores of unknown origin.
    """
    inside = values.get("scores") or {}
    flat = {**values, **inside}
    plain = {name: flat[name] for name in METRICS if isinstance(flat.get(name), int | float)}
    pairs, depth_maps = int(flat.get("pairs", 0)), int(flat.get("depth_maps", 0))
    full = {name: Score.from_dict(score) for name, score in inside.items() if isinstance(score, Mapping)}
    return make_scores(plain, pairs=pairs, depth_maps=depth_maps, step=flat.get("step")) | full


def write_scores(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    """Converts scores to nested dictionaries for JSON; the inverse of `read_scores`."""
    return {metric: dataclasses.asdict(score) for metric, score in scores.items()}


def values_of(scores: Mapping[str, Score]) -> dict[str, float]:
    """Returns the plain values by metric."""
    return {metric: score.value for metric, score in scores.items()}


def counts_of(scores: Mapping[str, Score]) -> dict[str, int]:
    """Returns the numbers of ordinal pairs and of depth maps behind scores, as `pairs` and `depth_maps`."""
    pairs = scores["whdr"].count if "whdr" in scores else 0
    return {"pairs": pairs, "depth_maps": max((s.count for name, s in scores.items() if name != "whdr"), default=0)}
