"""The summary of a pruned run: tables, a picture and the next commands."""

import pathlib
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

import tabulate

from mdepth_jax import licenses, plots
from mdepth_jax.files import write_csv, write_text
from mdepth_jax.models import TrainingRun
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.latency import Shapes, list_layers
from mdepth_jax.pruning.pruned_run import SUFFIX
from mdepth_jax.pruning.resources import count_macs
from mdepth_jax.pruning.search import Search
from mdepth_jax.pruning.surgery import Kept, keep_all, pruned_shapes
from mdepth_jax.pruning.task import PruningTask
from mdepth_jax.training import provenance


def write_search_summary(search: Search) -> str:
    """Writes `report.md`, `iterations.csv`, `widths.csv` and `tradeoff.png` of a search.

    Args:
        search: Search after any number of iterations.

    Returns:
        The text of `report.md`.
    """
    task, workdir, history, metric = search.task, search.workdir, search.history, search.metric
    rows = list(_list_iterations(search))
    write_csv(workdir / "iterations.csv", rows)
    points = [(proposal.resource, proposal.score) for proposal in history]
    plots.save_search(workdir / "tradeoff.png", points, task.resource.name, metric)
    formatted = [
        row | {task.resource.name: task.resource.format(row[task.resource.name]), metric: f"{row[metric]:.4f}",
               "seconds": round(row["seconds"])}
        for row in rows
    ]  # fmt: skip
    lines = [
        f"# {task.config.name.removesuffix(SUFFIX)}, pruned",
        "",
        f"{metric} {history[0].score:.4f} -> {history[-1].score:.4f} before the long-term fine-tune; "
        f"{search.iteration} iterations at {task.config.data.height}x{task.config.data.width}",
        "",
        _format_table(formatted),
        "",
        "![score against resource](tradeoff.png)",
        "",
        *_summarize_network(task, workdir, search.kept),
    ]
    return _write_report(workdir, lines)


def write_one_shot_summary(task: PruningTask, workdir: pathlib.Path, kept: Kept) -> str:
    """Writes `report.md` and `widths.csv` of a network that was pruned without a search.

    Args:
        task: Network that was pruned.
        workdir: Directory of the pruned run.
        kept: Channels of every group that are kept.

    Returns:
        The text of `report.md`.
    """
    lines = [f"# {task.run_config.name}, pruned without a search", "", *_summarize_network(task, workdir, kept)]
    return _write_report(workdir, lines)


def _list_iterations(search: Search) -> Iterator[dict[str, Any]]:
    for picked in search.history:
        proposals = search.proposals_of(picked.iteration)
        yield {
            "iteration": picked.iteration,
            "layer": picked.layer,
            "width": picked.width,
            search.task.resource.name: picked.resource,
            search.metric: picked.score,
            "proposals": len(proposals),
            "seconds": sum(proposal.seconds for proposal in proposals),
        }


def _summarize_network(task: PruningTask, workdir: pathlib.Path, kept: Kept) -> list[str]:
    """Writes `widths.csv`; returns lines on resources, widths, output, licenses and the next commands."""
    structure, resource = task.structure, task.resource
    before, after = (pruned_shapes(structure, channels) for channels in (keep_all(structure), kept))
    widths = list(compare_widths(structure, before, after))
    write_csv(workdir / "widths.csv", widths)
    changed = [row for row in widths if (row["in before"], row["out before"]) != (row["in after"], row["out after"])]
    macs = [count_macs(structure, shapes) / 1e9 for shapes in (before, after)]
    runs = [*task.header.lineage, TrainingRun("", task.run_config.to_dict(), task.data_sets)]
    return [
        f"{resource.format(resource.measure(before))} -> {resource.format(resource.measure(after))}; "
        f"{macs[0]:.3f} -> {macs[1]:.3f} GMACs",
        "",
        f"{len(changed)} of {len(widths)} layers have other widths (all of them: widths.csv):",
        "",
        _format_table(changed),
        "",
        f"Output of the network: {provenance.describe_output(task.run_config)}.",
        "",
        "Licenses of its training data and weights:",
        "",
        licenses.format_table(provenance.find_licenses(runs)),
        "",
        "Next, the long-term fine-tune: the training of the original run at a tenth of its learning rate:",
        "",
        *(f"    {command}" for command in next_commands(workdir)),
        "",
    ]


def _write_report(workdir: pathlib.Path, lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    write_text(workdir / "report.md", text)
    return text


def compare_widths(structure: Structure, before: Shapes, after: Shapes) -> Iterator[dict[str, Any]]:
    """Yields the widths of every convolution in two networks of one structure.

    Args:
        structure: Structure of the full network.
        before: Shapes of the variables of the first network.
        after: Shapes of the variables of the second network.
    """
    layers = list_layers(structure, before), list_layers(structure, after)
    for conv, wide, narrow in zip(structure.convolutions, *layers, strict=True):
        yield {
            "layer": conv.kernel.removesuffix(".kernel"),
            "in before": wide.in_channels,
            "out before": wide.out_channels,
            "in after": narrow.in_channels,
            "out after": narrow.out_channels,
        }


def next_commands(workdir: pathlib.Path) -> list[str]:
    """Returns the commands that fine-tune a pruned run and evaluate the result."""
    tuned = shlex.quote(str(workdir / "finetuned"))
    config = shlex.quote(f"configs/finetune.py:{workdir}")
    return [
        f"python -m mdepth_jax.train --config {config} --workdir {tuned}",
        f"python -m mdepth_jax.evaluate --model {tuned}",
    ]


def _format_table(rows: Iterable[dict[str, Any]]) -> str:
    return tabulate.tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
