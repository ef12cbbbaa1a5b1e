"""Header of a file of weights: the runs that made them, their scores, and the meaning of their output."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCORES = ("whdr", "rmse", "delta1", "si_rmse")


@dataclass(frozen=True)
class TrainingRun:
    """A training run that weights went through.

    Attributes:
        command: Command line of the run; empty if unknown.
        config: Configuration of the run as nested dictionaries; empty if unknown.
    """

    command: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Header:
    """Origin and scores of weights; whatever a run did not record is empty.

    Attributes:
        run: Run that made the weights.
        earlier: Runs before it in order, the first run first.
        output: Meaning of the network's output in words.
        scores: Scores on the held-out set of the run by metric, a key of `SCORES`.
        pairs: Number of ordinal pairs behind the scores.
        depth_maps: Number of depth maps behind the scores.
        step: Training step of the weights; None if unknown.
        terms: Names of the loss terms of the run.
    """

    run: TrainingRun = TrainingRun()
    earlier: tuple[TrainingRun, ...] = ()
    output: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    pairs: int = 0
    depth_maps: int = 0
    step: int | None = None
    terms: tuple[str, ...] = ()

    @property
    def lineage(self) -> tuple[TrainingRun, ...]:
        """All runs that the weights went through in order, the first run first."""
        return (*self.earlier, self.run)

    def to_json(self) -> str:
        """Encodes the header as JSON; the inverse of `from_json`."""
        values = dataclasses.asdict(self)
        return json.dumps(values.pop("run") | values)

    @classmethod
    def from_json(cls, text: str) -> "Header":
        """Decodes a header; one of an earlier version has its scores next to the other values."""
        values = json.loads(text)
        scores = values.get("scores", {}) | {name: values[name] for name in SCORES if name in values}
        return cls(
            run=_read_run(values),
            earlier=tuple(map(_read_run, values.get("earlier", ()))),
            output=values.get("output", ""),
            scores=scores,
            pairs=values.get("pairs", 0),
            depth_maps=values.get("depth_maps", 0),
            step=values.get("step"),
            terms=tuple(values.get("terms", ())),
        )


def _read_run(values: Mapping[str, Any]) -> TrainingRun:
    return TrainingRun(values.get("command", ""), values.get("config", {}))
