"""Comparison of finished runs with one another and with the paper's figures: the tables of `mdepth_jax.report`."""

import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tabulate
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
PAIRS_BUDGET = "_pairs"  # end of the names of runs in the budget of `configs/kd.py:pairs`
Scores = Mapping[str, float]
Cells = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        directory: Run directory.
        config: Configuration of the run.
        experiment: Key of `figures.ROWS` for a run that reproduces a row of the paper; the run's name otherwise.
        scores: Scores by metric: those of the last evaluation, and those of the files in `evaluations/`.
        parameters: Number of parameters without intermediate heads.
        records: Records of `metrics.jsonl`.
    """

    directory: pathlib.Path
    config: ConfigDict
    experiment: str
    scores: Scores
    parameters: int
    records: Sequence[dict[str, Any]]


def read_run(directory: pathlib.Path) -> Run:
    """Reads configuration, scores and size of a run.

    `python -m mdepth_jax.evaluate --model RUN ... --json RUN/evaluations/METRIC.json` sets one metric, measured on
    another data set: the paper has RMSE of NYUv2, WHDR of DIW and SI-RMSE of the Mannequin Challenge.

    Args:
        directory: Run directory.

    Raises:
        UserError: If it is no run directory, has no evaluation yet, or has a file of another name in `evaluations/`.
    """
    config = load_config(directory)
    records = logbook.read(directory)
    experiment = config.name.removesuffix(PAIRS_BUDGET)
    return Run(
        directory=directory,
        config=config,
        experiment=experiment if experiment in figures.ROWS else config.name,
        scores=_read_scores(directory, records),
        parameters=count_parameters(load_weights(directory).model),
        records=records,
    )


def _read_scores(directory: pathlib.Path, records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    evaluations = [record for record in records if any(key.startswith("eval/") for key in record)]
    if not evaluations:
        raise UserError(f"{directory} has no evaluation yet; train it to the end of an epoch")
    scores = {key.removeprefix("eval/"): value for key, value in evaluations[-1].items() if key.startswith("eval/")}
    for path in sorted((directory / "evaluations").glob("*.json")):
        evaluation = read_json(path)
        if path.stem not in METRICS or path.stem not in evaluation:
            raise UserError(f"{path}: name the file after the metric that it sets: {', '.join(METRICS)}")
        scores[path.stem] = evaluation[path.stem]
    return {name: float(scores[name]) for name in METRICS if name in scores}


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A row of a table: an experiment of ours with the paper's figures.

    Attributes:
        title: Name of the experiment.
        seeds: Number of runs that differ in their seed alone.
        mean: Mean over the seeds by metric.
        deviation: Standard deviation over the seeds by metric; empty for one seed.
        paper: Figures of the paper by metric; empty for an experiment that the paper does not have.
    """

    title: str
    seeds: int
    mean: Scores
    deviation: Scores
    paper: Scores


def make_tables(runs: Iterable[Run]) -> dict[str, list[ComparisonRow]]:
    """Sorts runs into the tables of the paper, in its order; all others form a table of their own.

    Runs of one experiment that differ in nothing but the seed make one row.

    Returns:
        The rows of each table by the table's title; no table is empty.

    Raises:
        UserError: If runs of one experiment differ in more than the seed, naming the keys.
    """
    experiments: dict[str, list[Run]] = {}
    for run in runs:
        experiments.setdefault(run.experiment, []).append(run)
    for seeds in experiments.values():
        _check_seeds(seeds)
    tables = {
        title: [_summarize(row.title, experiments[name], row) for name, row in rows.items() if name in experiments]
        for title, rows in figures.TABLES.items()
    }
    others = {name: seeds for name, seeds in experiments.items() if name not in figures.ROWS}
    tables["Other runs"] = [_summarize(name, seeds, None) for name, seeds in others.items()]
    return {title: rows for title, rows in tables.items() if rows}


def _check_seeds(runs: Sequence[Run]) -> None:
    first, *others = runs
    for other in others:
        keys = [key for key in differences(first.config, other.config) if not key.startswith("seed:")]
        if keys:
            raise UserError(
                f"{first.directory} and {other.directory} are both {first.experiment}, but differ in more than the "
                f"seed ({'; '.join(keys[:3])}); report them separately, or give one of them another `config.name`"
            )


def _summarize(title: str, runs: Sequence[Run], paper: figures.Experiment | None) -> ComparisonRow:
    values = {name: [run.scores[name] for run in runs if name in run.scores] for name in METRICS}
    return ComparisonRow(
        title=title,
        seeds=len(runs),
        mean={name: statistics.fmean(scores) for name, scores in values.items() if scores},
        deviation={name: statistics.stdev(scores) for name, scores in values.items() if len(scores) > 1},
        paper={name: getattr(paper, name) for name in METRICS if hasattr(paper, name)},
    )


def format_rows(rows: Sequence[ComparisonRow]) -> list[Cells]:
    """Formats a table: a column for each metric that a run has, and the change of WHDR against the first row."""
    first = rows[0]
    metrics = [name for name in METRICS if any(name in row.mean for row in rows)]
    table = []
    for row in rows:
        cells: Cells = {"": row.title, "seeds": row.seeds}
        cells |= {name: _format_score(row.mean.get(name), row.deviation.get(name)) for name in metrics}
        cells["change"] = _format_change(row.mean, first.mean)
        if row.paper:
            cells |= {f"paper {name}": _format_score(score) for name, score in row.paper.items()}
            cells["paper change"] = _format_change(row.paper, first.paper)
        table.append(cells)
    return table


def _format_score(score: float | None, deviation: float | None = None) -> str:
    if score is None:
        return ""
    return f"{score:.4f}" if deviation is None else f"{score:.4f} +- {deviation:.4f}"


def _format_change(scores: Scores, reference: Scores) -> str:
    if "whdr" not in scores or "whdr" not in reference:
        return ""
    return f"{100 * (scores['whdr'] / reference['whdr'] - 1):+.1f} %"


def format_markdown(tables: Mapping[str, Sequence[Cells]]) -> str:
    """Formats tables, given by title, as Markdown."""
    return "\n".join(
        f"## {title}\n\n{tabulate.tabulate(rows, headers='keys', tablefmt='github', disable_numparse=True)}\n"
        for title, rows in tables.items()
    )


def make_tradeoff(runs: Iterable[Run]) -> dict[str, list[Point]]:
    """Collects size and WHDR of networks as in Figure 1: those of Table 7 on DIW, and runs on their own data."""
    published = [Point(f"{method.name} ({method.data})", method.parameters, method.whdr) for method in figures.METHODS]
    ours = [Point(run.directory.name, run.parameters / 1e6, run.scores["whdr"]) for run in runs if "whdr" in run.scores]
    return {"Table 7 of the paper, on DIW": published} | (
        {"these runs, on their own held-out pairs": ours} if ours else {}
    )
