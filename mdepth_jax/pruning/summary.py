"""What a search leaves beside its network: tables, a picture and the next command."""

import pathlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tabulate
from ml_collections import ConfigDict

from mdepth_jax import licenses, plots
from mdepth_jax.files import write_csv, write_text
from mdepth_jax.models import TrainingRun
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.latency import Shapes, layers
from mdepth_jax.pruning.resources import Resource, count_macs
from mdepth_jax.pruning.search import SUFFIX, Search
from mdepth_jax.pruning.surgery import Kept, keep_all, shapes_of
from mdepth_jax.training import provenance


def write(search: Search) -> str:
    """Writes `report.md`, `iterations.csv`, `widths.csv` and `tradeoff.png`, and gives the text of the first."""
    directory, history, metric, resource = search.workdir, search.history, search.config.train.best_by, search.resource
    spent = [sum(proposal.seconds for proposal in search.proposals_of(choice.iteration)) for choice in history]
    rows = [
        {"iteration": choice.iteration, "layer": choice.layer, "width": choice.width, resource.name: choice.resource,
         metric: choice.score, "proposals": len(search.proposals_of(choice.iteration)), "seconds": seconds}
        for choice, seconds in zip(history, spent, strict=True)
    ]  # fmt: skip
    write_csv(directory / "iterations.csv", rows)
    points = [(choice.resource, choice.score) for choice in history]
    plots.save_search(directory / "tradeoff.png", points, resource.name, metric)
    told = [
        row | {resource.name: resource.tell(choice.resource), metric: f"{choice.score:.4f}", "seconds": round(seconds)}
        for row, choice, seconds in zip(rows, history, spent, strict=True)
    ]
    height, width = search.config.data.height, search.config.data.width
    lines = [
        f"# {search.config.name.removesuffix(SUFFIX)}, pruned",
        "",
        f"{metric} {history[0].score:.4f} -> {history[-1].score:.4f} before the long training; "
        f"{search.iteration} iterations at {height}x{width}",
        "",
        _table(told),
        "",
        "![score against resource](tradeoff.png)",
        "",
        *_tell_cut(directory, search.structure, resource, search.kept),
    ]
    return _write_report(directory, lines, search.run_config, search.header.lineage)


def write_cut(
    directory: pathlib.Path,
    structure: Structure,
    resource: Resource,
    kept: Kept,
    config: ConfigDict,
    earlier: Sequence[TrainingRun],
) -> str:
    """Writes `report.md` and `widths.csv` of a network that was pruned without a search, and gives the text.

    Args:
        directory: Of the pruned run.
        structure: Of the whole network.
        resource: That was saved.
        kept: Channels of every group.
        config: Of the run that was pruned.
        earlier: Runs that its weights have been through, the first one first.
    """
    lines = [f"# {config.name}, pruned without a search", "", *_tell_cut(directory, structure, resource, kept)]
    return _write_report(directory, lines, config, earlier)


def _tell_cut(directory: pathlib.Path, structure: Structure, resource: Resource, kept: Kept) -> list[str]:
    """Writes `widths.csv`; gives the lines on what the network needs and on its widths."""
    before, after = (shapes_of(structure, stays) for stays in (keep_all(structure), kept))
    widths = list(compare_widths(structure, before, after))
    write_csv(directory / "widths.csv", widths)
    changed = [row for row in widths if (row["in before"], row["out before"]) != (row["in after"], row["out after"])]
    macs = [count_macs(structure, shapes) / 1e9 for shapes in (before, after)]
    return [
        f"{resource.tell(resource.measure(before))} -> {resource.tell(resource.measure(after))}; "
        f"{macs[0]:.3f} -> {macs[1]:.3f} GMACs",
        "",
        f"{len(changed)} of {len(widths)} layers have other widths (all of them: widths.csv):",
        "",
        _table(changed),
        "",
    ]


def _write_report(
    directory: pathlib.Path, lines: Sequence[str], config: ConfigDict, earlier: Sequence[TrainingRun]
) -> str:
    """Writes `report.md`: the lines, what the output means, the terms, and what comes next."""
    lines = [
        *lines,
        f"The network gives {provenance.describe_output(config)}.",
        "",
        "Terms of what it was trained with:",
        "",
        licenses.format_table(licenses.find_licenses([*provenance.configs_of(earlier), config])),
        "",
        "Next, the long training, like the one of the run that was pruned but at a tenth of its learning rate:",
        "",
        *(f"    {command}" for command in next_commands(directory)),
        "",
    ]
    text = "\n".join(lines)
    write_text(directory / "report.md", text)
    return text


def compare_widths(structure: Structure, before: Shapes, after: Shapes) -> Iterator[dict[str, Any]]:
    """Gives the widths of every convolution in two networks of one structure.

    Args:
        structure: Of the whole network.
        before: Shapes of the variables of one.
        after: Of the other.
    """
    rows = zip(structure.convolutions, layers(structure, before), layers(structure, after), strict=True)
    for conv, wide, narrow in rows:
        yield {
            "layer": conv.kernel.removesuffix(".kernel"),
            "in before": wide.in_channels,
            "out before": wide.out_channels,
            "in after": narrow.in_channels,
            "out after": narrow.out_channels,
        }


def next_commands(directory: pathlib.Path) -> list[str]:
    """Lists what a user may want to run after a search, ready to be pasted."""
    tuned = shlex.quote(str(directory / "finetuned"))
    config = shlex.quote(f"configs/finetune.py:{directory}")
    return [
        f"python -m mdepth_jax.train --config {config} --workdir {tuned}",
        f"python -m mdepth_jax.evaluate --model {tuned}",
    ]


def _table(rows: Iterable[dict[str, Any]]) -> str:
    return tabulate.tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
