"""Runs side by side, with the paper's figures: what `mdepth_jax.report` prints."""

import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json
from mdepth_jax.models import count_parameters, load_weights
from mdepth_jax.paper import figures
from mdepth_jax.plots import Point
from mdepth_jax.training import logbook
from mdepth_jax.training.config import differences
from mdepth_jax.training.run_directory import load_config

METRICS = ("whdr", "rmse", "delta1", "si_rmse")


class Run(NamedTuple):
    """A finished run.

    Attributes:
        directory: The run directory.
        config: Its configuration.
        row: The row of the paper that it repeats, a key of `figures.ROWS`; its name otherwise.
        scores: Of the evaluation at its end, and of the files in `evaluations/`.
        parameters: Of the network without intermediate heads.
        records: All of `metrics.jsonl`.
    """

    directory: pathlib.Path
    config: ConfigDict
    row: str
    scores: dict[str, float]
    parameters: int
    records: list[dict[str, Any]]


def read_run(directory: pathlib.Path) -> Run:
    """Reads what the tables need of a run.

    `python -m mdepth_jax.evaluate --model RUN ... --json RUN/evaluations/METRIC.json` sets one metric, measured on
    another data set: the paper has RMSE of NYUv2, WHDR of DIW and SI-RMSE of the Mannequin Challenge.

    Raises:
        UserError: If it is no run directory, has no evaluation yet, or has a file of another name in `evaluations/`.
    """
    config = load_config(directory)
    records = logbook.read(directory)
    evaluations = [record for record in records if any(key.startswith("eval/") for key in record)]
    if not evaluations:
        raise UserError(f"{directory} has no evaluation yet; train it to the end of an epoch")
    scores = {key.removeprefix("eval/"): value for key, value in evaluations[-1].items() if key.startswith("eval/")}
    for path in sorted((directory / "evaluations").glob("*.json")):
        measured = read_json(path)
        if path.stem not in METRICS or path.stem not in measured:
            raise UserError(f"{path}: name the file after the metric that it sets: {', '.join(METRICS)}")
        scores[path.stem] = measured[path.stem]
    model = load_weights(directory).model
    row = config.name.removesuffix("_pairs")
    row = row if row in figures.ROWS else config.name
    known = {name: float(scores[name]) for name in METRICS if name in scores}
    return Run(directory, config, row, known, count_parameters(model), records)


class Line(NamedTuple):
    """A line of a table: the paper's figures beside ours.

    Attributes:
        title: What was trained.
        runs: How many seeds.
        ours: Mean over the seeds by metric.
        spread: Standard deviation over the seeds by metric; none for one seed.
        paper: By metric, what the paper prints; empty for a run that repeats no row of it.
    """

    title: str
    runs: int
    ours: dict[str, float]
    spread: dict[str, float]
    paper: dict[str, float]


def make_tables(runs: Iterable[Run]) -> dict[str, list[Line]]:
    """Sorts runs into the tables of the paper, in its order; the others form a table of their own.

    Runs of one row that differ in nothing but the seed make one line.

    Raises:
        UserError: If runs of one row differ in more, naming the keys.
    """
    by_row: dict[str, list[Run]] = {}
    for run in runs:
        by_row.setdefault(run.row, []).append(run)
    for row, group in by_row.items():
        for other in group[1:]:
            keys = differences(group[0].config, other.config)
            if differing := [key for key in keys if not key.startswith("seed:")]:
                raise UserError(
                    f"{group[0].directory} and {other.directory} are both {row}, but differ in more than the seed "
                    f"({'; '.join(differing[:3])}); report them apart, or give one another --config.name"
                )
    tables = {
        title: [_line(row.title, by_row[name], row) for name, row in rows.items() if name in by_row]
        for title, rows in figures.TABLES.items()
    }
    tables["Other runs"] = [_line(name, group, None) for name, group in by_row.items() if name not in figures.ROWS]
    return {title: lines for title, lines in tables.items() if lines}


def _line(title: str, runs: Sequence[Run], row: figures.Row | None) -> Line:
    values = {name: [run.scores[name] for run in runs if name in run.scores] for name in METRICS}
    ours = {name: statistics.fmean(scores) for name, scores in values.items() if scores}
    spread = {name: statistics.stdev(scores) for name, scores in values.items() if len(scores) > 1}
    printed = {name: getattr(row, name) for name in METRICS if hasattr(row, name)}
    return Line(title, len(runs), ours, spread, printed)


def as_rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Lays a table out: a column for each metric that somebody has, and the change of WHDR against the first line."""
    rows = []
    for line in lines:
        row: dict[str, Any] = {"": line.title, "seeds": line.runs}
        for name in METRICS:
            if any(name in other.ours for other in lines):
                row[name] = _figure(line.ours.get(name), line.spread.get(name))
        row["change"] = _change(line.ours, lines[0].ours)
        if line.paper:
            row |= {f"paper {name}": _figure(value) for name, value in line.paper.items()}
            row["paper change"] = _change(line.paper, lines[0].paper)
        rows.append(row)
    return rows


def _figure(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if spread is None else f"{value:.4f} +- {spread:.4f}"


def _change(scores: Mapping[str, float], reference: Mapping[str, float]) -> str:
    if "whdr" not in scores or "whdr" not in reference:
        return ""
    return f"{100 * (scores['whdr'] / reference['whdr'] - 1):+.1f} %"


def tradeoff(runs: Iterable[Run]) -> dict[str, list[Point]]:
    """Gives the networks of Figure 1: those of Table 7 on DIW, and runs on whatever they were evaluated on."""
    published = [Point(f"{method.name} ({method.data})", method.parameters, method.whdr) for method in figures.METHODS]
    ours = [Point(run.directory.name, run.parameters / 1e6, run.scores["whdr"]) for run in runs if "whdr" in run.scores]
    return {"Table 7 of the paper, on DIW": published} | (
        {"these runs, on their own held-out pairs": ours} if ours else {}
    )
