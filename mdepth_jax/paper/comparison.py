"""Comparison of finished runs with one another and with the paper's figures: the tables of `mdepth_jax.report`."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tabulate

from mdepth_jax.errors import UserError
from mdepth_jax.models.score import METRICS, Score
from mdepth_jax.paper import figures
from mdepth_jax.paper.runs import PAIRS_BUDGET, PRUNED, SAME_RECIPES, Run, fills_cell
from mdepth_jax.paper.timings import format_timings
from mdepth_jax.plots import Point
from mdepth_jax.training.config import differences

Cells = dict[str, Any]
Tables = dict[str, list[Cells]]
_MAY_DIFFER = ("seed:", "name:", "needs:", "without:", "model.widths:", "model.start:")  # among runs of one experiment


def make_tables(runs: Sequence[Run]) -> Tables:
    """Sorts runs into the tables of the paper, in its order; scores on other data form tables of their own.

    A cell of a table of the paper holds a score on the data set that the paper used there, by its protocol, of one file
    of weights (see `runs.fills_cell`), and is empty without one. Runs of one experiment that differ in nothing but the
    seed make one row.

    Returns:
        The formatted rows of each table by the table's title; no table is empty.

    Raises:
        UserError: If runs of one experiment differ in more than the seed, naming the keys.
    """
    experiments: dict[str, list[Run]] = {}
    for run in runs:
        experiments.setdefault(run.experiment, []).append(run)
    for seeds in experiments.values():
        _check_seeds(seeds)
    groups = list(experiments.values())
    tables = _compare_designs(groups) | _compare_rows(groups) | _compare_methods(groups)
    tables |= {figures.TABLE_8: format_timings(runs)}
    tables |= _list_other_scores(groups)
    return {title: rows for title, rows in tables.items() if rows}


def _check_seeds(runs: Sequence[Run]) -> None:
    first, *others = runs
    for other in others:
        keys = [key for key in differences(first.config, other.config) if not key.startswith(_MAY_DIFFER)]
        if keys:
            raise UserError(
                f"{first.directory} and {other.directory} are both {first.experiment}, but differ in more than the "
                f"seed ({'; '.join(keys[:3])}); report them separately, or give one of them another `config.name`"
            )


def _compare_designs(groups: Iterable[Sequence[Run]]) -> Tables:
    """Formats Tables 1 and 2."""
    by_design = {runs[0].design: runs for runs in groups if runs[0].design in figures.DESIGNS}
    return {
        title: [
            _start_row(" + ".join(name), by_design[name])
            | {metric: _format_cell(by_design[name], metric) for metric in ("rmse", "delta1")}
            | {
                "n": _count(by_design[name]),
                "parameters": _millions(by_design[name]),
                "paper rmse": f"{figures.DESIGNS[name].rmse:.3f}",
                "paper delta1": f"{figures.DESIGNS[name].delta1:.3f}",
                "paper parameters": f"{figures.DESIGNS[name].parameters:.1f}M",
            }
            for name in names
            if name in by_design
        ]
        for title, names in figures.DESIGN_TABLES.items()
    }


def _compare_rows(groups: Iterable[Sequence[Run]]) -> Tables:
    """Formats Tables 3 to 6."""
    by_row = {runs[0].row: runs for runs in groups if runs[0].row and not runs[0].is_pruned}
    tables: Tables = {}
    for title, rows in figures.TABLES.items():
        present = [(row, by_row[name]) for name, row in rows.items() if name in by_row]
        tables[title] = []
        for row, runs in present:
            cells = _start_row(row.title, runs)
            cells |= {metric: _format_cell(runs, metric) for metric in ("rmse", "whdr", "si_rmse")}
            cells["n"] = _count(runs)
            cells["change"] = _format_change(_mean(runs, "whdr"), _mean(present[0][1], "whdr"))
            cells |= {"paper rmse": f"{row.rmse:.3f}", "paper whdr": f"{row.whdr:.4f}"}
            cells |= {"paper si_rmse": f"{row.si_rmse:.4f}"}
            cells["paper change"] = _format_change(row.whdr, present[0][0].whdr)
            tables[title].append(cells)
    return tables


def _compare_methods(groups: Iterable[Sequence[Run]]) -> Tables:
    """Formats Table 7: the baseline, our best network and pruned ones."""
    rows = []
    for runs in groups:
        method = find_method(runs[0])
        if method is None and not runs[0].is_pruned:
            continue
        cells = _start_row(method.name if method else runs[0].experiment, runs)
        cells |= {"whdr": _format_cell(runs, "whdr"), "n": _count(runs), "parameters": _millions(runs)}
        cells["paper whdr"] = f"{method.whdr:.4f}" if method else ""
        cells["paper parameters"] = f"{method.parameters:.1f}M" if method else ""
        rows.append(cells)
    return {figures.TABLE_7: rows}


def find_method(run: Run) -> figures.Method | None:
    """Finds the row of Table 7 that a run repeats: the baseline, our best network, or a pruned one of its size."""
    baselines = [name for name, row in figures.ROWS.items() if row.whdr == figures.BASELINE.whdr]
    name = run.config.name.removesuffix(PRUNED)
    if run.is_pruned:
        ours = SAME_RECIPES.get(name, name) == figures.BEST and not run.lacks
        sizes = {method.parameters: method for method in figures.PRUNED_METHODS}
        return sizes.get(round(run.parameters / 1e6, 1)) if ours else None
    if run.row in baselines:
        return figures.BASELINE_METHOD
    return figures.BEST_METHOD if run.row == figures.BEST else None


@dataclass(frozen=True)
class _Place:
    """Table of the scores that fill no cell of the paper."""

    title: str
    origin: str

    def __str__(self) -> str:
        return f"{self.title}, measured on {self.origin}"


def _list_other_scores(groups: Iterable[Sequence[Run]]) -> Tables:
    """Formats a table for each data set that is not the paper's, or not by its protocol."""
    places: dict[_Place, list[tuple[Sequence[Run], list[Score]]]] = {}
    for runs in groups:
        by_place: dict[_Place, list[Score]] = {}
        for run in runs:
            for score in run.others:
                is_own = score.weights in ("", run.weights)
                origin = score.origin + ("" if is_own else ", other weights than the best")
                by_place.setdefault(_Place(_table_of(run), origin), []).append(score)
        for place, scores in by_place.items():
            places.setdefault(place, []).append((runs, scores))
    return {str(place): _format_others(entries) for place, entries in places.items()}


def _table_of(run: Run) -> str:
    name = run.row or run.config.name.removesuffix(PAIRS_BUDGET)
    return next((title for title, rows in figures.TABLES.items() if name in rows), "Other runs")


def _format_others(entries: Sequence[tuple[Sequence[Run], list[Score]]]) -> list[Cells]:
    columns = {_column(score): None for metric in METRICS for _, scores in entries for score in _only(scores, metric)}
    whdr = next((column for column in columns if column.startswith("whdr")), "")
    reference = _average(entries[0][1], whdr)
    table = []
    for runs, scores in entries:
        name = runs[0].row or runs[0].config.name.removesuffix(PAIRS_BUDGET)
        row = figures.ROWS.get(name)
        cells = _start_row(row.title + runs[0].note if row else runs[0].experiment, runs)
        cells |= {column: _format_values([s.value for s in scores if _column(s) == column]) for column in columns}
        cells["change"] = _format_change(_average(scores, whdr), reference)
        cells["n"] = _join(map(_format_count, scores))
        cells["step"] = _join(str(score.step) for score in scores if score.step is not None)
        cells["weights"] = _join(score.weights[:8] for score in scores if score.weights)
        table.append(cells)
    return table


def _only(scores: Iterable[Score], metric: str) -> Iterator[Score]:
    return (score for score in scores if score.metric == metric)


def _column(score: Score) -> str:
    return f"{score.metric} ({score.protocol})" if score.protocol.view else score.metric


def _average(scores: Iterable[Score], column: str) -> float | None:
    values = [score.value for score in scores if _column(score) == column]
    return statistics.fmean(values) if values else None


def _start_row(title: str, runs: Sequence[Run]) -> Cells:
    return {"": title, "seeds": len(runs)}


def _count(runs: Iterable[Run]) -> str:
    """Formats the numbers of pairs and maps behind the cells of a row."""
    return _join(_format_count(score) for run in runs for score in run.cells.values())


def _format_count(score: Score) -> str:
    return f"{score.count} {'pairs' if score.metric == 'whdr' else 'maps'}"


def _values(runs: Iterable[Run], metric: str) -> list[float]:
    return [run.cells[metric].value for run in runs if metric in run.cells]


def _mean(runs: Iterable[Run], metric: str) -> float | None:
    values = _values(runs, metric)
    return statistics.fmean(values) if values else None


def _format_cell(runs: Iterable[Run], metric: str) -> str:
    return _format_values(_values(runs, metric))


def _format_values(values: Sequence[float]) -> str:
    """Formats the mean and, for several seeds, the standard deviation."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} +- {statistics.stdev(values):.4f}"


def _format_change(score: float | None, reference: float | None) -> str:
    return "" if score is None or not reference else f"{100 * (score / reference - 1):+.1f} %"


def _millions(runs: Sequence[Run]) -> str:
    return f"{statistics.fmean(run.parameters for run in runs) / 1e6:.2f}M"


def _join(parts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(parts))


def format_markdown(tables: Mapping[str, Sequence[Cells]]) -> str:
    """Formats tables, given by title, as Markdown."""
    return "\n".join(
        f"## {title}\n\n{tabulate.tabulate(rows, headers='keys', tablefmt='github', disable_numparse=True)}\n"
        for title, rows in tables.items()
    )


def make_tradeoff(runs: Iterable[Run]) -> dict[str, list[Point]]:
    """Collects size and WHDR of networks as in Figure 1: those of Table 7 on DIW, and runs by their test data."""
    published = [Point(f"{method.name} ({method.data})", method.parameters, method.whdr) for method in figures.METHODS]
    groups = {"Table 7 of the paper, on DIW test": published}
    for run in runs:
        for score in {score.origin: score for score in _only(run.scores, "whdr")}.values():
            title = f"these runs, on {score.origin}" + ("" if fills_cell(score, run) else ", not as in the paper")
            point = Point(run.directory.name, run.parameters / 1e6, score.value)
            groups.setdefault(title, []).append(point)
    return groups
