"""Header of a file of weights: the runs that made them, their scores, and the meaning of their output."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.models.score import Score, counts_of, read_scores, values_of


@dataclass(frozen=True)
class TrainingRun:
    """A training run that weights went through.

    Attributes:
        command: Command line of the run; empty if unknown.
        config: Configuration of the run as nested dictionaries; empty if unknown.
        data: Data sets that it was trained on, each named; empty if unknown.
    """

    command: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[DataSetInfo, ...] = ()


@dataclass(frozen=True)
class Header:
    """Origin and scores of weights; whatever a run did not record is empty.

    Attributes:
        run: Run that made the weights.
        earlier: Runs before it in order, the first run first.
        output: Meaning of the network's output in words.
        scores: Scores by metric: on the test set of the run, before its end on the validation set.
        step: Training step of the weights; None if unknown.
        terms: Names of the loss terms of the run.
    """

    run: TrainingRun = TrainingRun()
    earlier: tuple[TrainingRun, ...] = ()
    output: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    step: int | None = None
    terms: tuple[str, ...] = ()

    @property
    def lineage(self) -> tuple[TrainingRun, ...]:
        """All runs that the weights went through in order, the first run first."""
        return (*self.earlier, self.run)

    @property
    def values(self) -> dict[str, float]:
        """Values of the scores by metric."""
        return values_of(self.scores)

    @property
    def pairs(self) -> int:
        """Number of ordinal pairs behind the scores."""
        return counts_of(self.scores)["pairs"]

    @property
    def depth_maps(self) -> int:
        """Number of depth maps behind the scores."""
        return counts_of(self.scores)["depth_maps"]

    def to_json(self) -> str:
        """Encodes the header as JSON; the inverse of `from_json`."""
        values = dataclasses.asdict(self)
        return json.dumps(values.pop("run") | values)

    @classmethod
    def from_json(cls, text: str) -> "Header":
        """Decodes a header; scores of an earlier version are of unknown origin."""
        values = json.loads(text)
        return cls(
            run=_read_run(values),
            earlier=tuple(map(_read_run, values.get("earlier", ()))),
            output=values.get("output", ""),
            scores=read_scores(values),
            step=values.get("step"),
            terms=tuple(values.get("terms", ())),
        )


def _read_run(values: Mapping[str, Any]) -> TrainingRun:
    sets = tuple(DataSetInfo(**info) for info in values.get("data", ()))
    return TrainingRun(values.get("command", ""), values.get("config", {}), sets)
