"""Finished runs as the report reads them, and the rule by which a score fills a cell of the paper."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.files import hash_file, read_json
from mdepth_jax.models import TrainingRun, count_parameters, load_weights
from mdepth_jax.models.score import Score, read_scores
from mdepth_jax.paper import figures
from mdepth_jax.training import logbook, provenance
from mdepth_jax.training.recipe import describe_lacks, find_lacks
from mdepth_jax.training.run_directory import load_config

PAIRS_BUDGET = "_pairs"  # end of the names of runs in the budget of `configs/kd.py:pairs`
PRUNED = "_pruned"  # end of the names of pruned runs
SAME_RECIPES: Mapping[str, str] = {
    "nyuv2": "table3_nyuv2",
    "diw": "table3_diw",
    "redweb": "table3_redweb",
    "mannequin": "table3_mc",
    "sequential_redweb_diw": "table3_redweb_diw",
    "sequential_mc_diw": "table3_mc_diw",
    "sequential_mc_redweb_diw": "table3_mc_redweb_diw",
    "kd_diw": "table6_hard_easy",
}
"""Names of configurations that are a row of the paper under another name."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        directory: Run directory.
        config: Configuration of the run.
        scores: All scores: those of its weights on its test set, and those of the files in
            `evaluations/`.
        parameters: Number of parameters without intermediate heads.
        weights: SHA-256 of the file of the best weights.
        lacks: What the run lacks of the recipe of its row, see `recipe.find_lacks`; such a run is not that row.
        records: Records of `metrics.jsonl`.
        timings: Rows of the files in `benchmarks/`, which `python -m mdepth_jax.benchmark tflite` writes.
    """

    directory: pathlib.Path
    config: ConfigDict
    scores: Sequence[Score]
    parameters: int
    weights: str
    lacks: Sequence[str] = ()
    records: Sequence[dict[str, Any]] = ()
    timings: Sequence[Mapping[str, Any]] = ()

    @property
    def row(self) -> str:
        """Key of `figures.ROWS` for a run with the recipe of a row of the paper; empty for any other run."""
        name = "" if self.lacks else SAME_RECIPES.get(self.config.name, self.config.name)
        if name == "table3_nyuv2" and self.design != figures.OUR_DESIGN:
            return ""
        return name if name in figures.ROWS else ""

    @property
    def design(self) -> tuple[str, str]:
        """Key of `figures.DESIGNS` for a network trained as in Tables 1 and 2; two empty names for any other run."""
        model = self.config.model
        if self.lacks or SAME_RECIPES.get(self.config.name, self.config.name) != "table3_nyuv2":
            return "", ""
        is_reduced = (model.decoder, model.last_layer) == ("fbnet", "upsample")
        return model.encoder, "fbnet x112" if is_reduced else model.decoder

    @property
    def is_pruned(self) -> bool:
        """Whether the network has other widths than its encoder's own."""
        return bool(self.config.model.widths) or self.config.name.endswith(PRUNED)

    @property
    def experiment(self) -> str:
        """Name that runs share which differ in their seed alone."""
        if self.is_pruned:
            return f"{self.config.name}, {self.parameters / 1e6:.1f}M" + self.note
        if self.lacks:
            return self.config.name + self.note
        if any(self.design):
            return " + ".join(self.design)
        return self.row or self.config.name

    @property
    def note(self) -> str:
        """What the run lacks of its recipe, to be put behind a name; empty for nothing."""
        return f", without {describe_lacks(self.lacks)}" if self.lacks else ""

    @property
    def columns(self) -> set[str]:
        """Metrics that the tables of the paper show for such a run; empty for one that is none of its rows."""
        columns = {"rmse", "delta1"} if self.design in figures.DESIGNS else set()
        if self.is_pruned:
            return set() if self.lacks else {"whdr"}
        return columns | ({"rmse", "whdr", "si_rmse"} if self.row else set())

    @property
    def cells(self) -> dict[str, Score]:
        """Scores that fill cells of the paper, by metric."""
        columns = self.columns
        return {score.metric: score for score in self.scores if score.metric in columns and fills_cell(score, self)}

    @property
    def others(self) -> list[Score]:
        """Scores that fill none."""
        cells = self.cells.values()
        return [score for score in self.scores if score not in cells]


def fills_cell(score: Score, run: Run) -> bool:
    """Returns whether a score is the quantity in the paper's column: on its data set and split, by its protocol.

    WHDR is that of DIW's test images, whole. RMSE and delta1 are those of NYUv2's test frames inside the Eigen crop,
    and SI-RMSE that of the test frames of the Mannequin Challenge; relative depth is aligned first, see
    `provenance.default_alignment`, and so is depth without a unit before it is compared in meters. All are of one file
    of weights, the run's best.
    """
    data = run.config.data
    protocol = score.protocol
    is_ours = bool(score.weights) and score.weights == run.weights
    if not is_ours or (score.data_set, score.split) != figures.TEST_SETS[score.metric]:
        return False
    if (protocol.height, protocol.width) != (data.height, data.width):
        return False
    if score.metric == "whdr":
        return protocol.view == "whole"
    if score.metric == "si_rmse":
        return (protocol.crop, protocol.align) == ("none", provenance.default_alignment(run.config))
    return (protocol.crop, protocol.align) == ("eigen", "none" if provenance.has_unit(run.config) else "nyu")


def read_run(directory: pathlib.Path) -> Run:
    """Reads configuration, scores and size of a run.

    Args:
        directory: Run directory. Every JSON file in its `evaluations/` is a result of `python -m mdepth_jax.evaluate`,
            every one in its `benchmarks/` a result of `python -m mdepth_jax.benchmark tflite`.

    Raises:
        UserError: If it is no run directory, has no evaluation yet, or a file there is no such result.
    """
    config = load_config(directory)
    loaded = load_weights(directory)
    weights = hash_file(loaded.path)
    header = loaded.header
    lineage = header.lineage if header.run.config else [*header.earlier, TrainingRun(config=config.to_dict())]
    own = [
        dataclasses.replace(score, weights=score.weights or weights) for score in loaded.header.scores.values()
    ]  # the header of a file does not know its hash
    return Run(
        directory=directory,
        config=config,
        scores=[*own, *_read_evaluations(directory)],
        parameters=count_parameters(loaded.model),
        weights=weights,
        lacks=find_lacks(lineage),
        records=logbook.read(directory),
        timings=list(_read_benchmarks(directory)),
    )


def _read_evaluations(directory: pathlib.Path) -> Iterator[Score]:
    for path in sorted((directory / "evaluations").glob("*.json")):
        values = read_json(path)
        scores = read_scores(values) if isinstance(values, dict) else {}
        if not scores:
            raise UserError(f"{path}: holds no scores; write it by python -m mdepth_jax.evaluate, or move it away")
        yield from scores.values()


def _read_benchmarks(directory: pathlib.Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted((directory / "benchmarks").glob("*.json")):
        rows = read_json(path)
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "model" in row for row in rows):
            raise UserError(
                f"{path}: holds no rows of timings; write it by python -m mdepth_jax.benchmark tflite, or move it away"
            )
        yield from rows
