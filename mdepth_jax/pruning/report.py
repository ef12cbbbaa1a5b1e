"""What a search leaves beside its network: tables, a picture and the next command."""

import csv
import pathlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tabulate

from mdepth_jax import plots
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.latency import Shapes, layers
from mdepth_jax.pruning.resources import count_macs
from mdepth_jax.pruning.search import SUFFIX, Search
from mdepth_jax.pruning.surgery import shapes_of


def write(search: Search) -> str:
    """Writes `report.md`, `iterations.csv`, `widths.csv` and `tradeoff.png`, and gives the text of the first."""
    directory, history, metric, resource = search.workdir, search.history, search.config.train.best_by, search.resource
    before, after = (shapes_of(search.structure, kept) for kept in (search.whole, search.kept))
    spent = [sum(proposal.seconds for proposal in search.proposals_of(choice.iteration)) for choice in history]
    rows = [
        {"iteration": choice.iteration, "layer": choice.layer, "width": choice.width, resource.name: choice.resource,
         metric: choice.score, "proposals": len(search.proposals_of(choice.iteration)), "seconds": seconds}
        for choice, seconds in zip(history, spent, strict=True)
    ]  # fmt: skip
    widths = list(compare_widths(search.structure, before, after))
    write_csv(directory / "iterations.csv", rows)
    write_csv(directory / "widths.csv", widths)
    points = [(choice.resource, choice.score) for choice in history]
    plots.save_search(directory / "tradeoff.png", points, resource.name, metric)
    told = [
        row | {resource.name: resource.tell(choice.resource), metric: f"{choice.score:.4f}", "seconds": round(seconds)}
        for row, choice, seconds in zip(rows, history, spent, strict=True)
    ]
    changed = [row for row in widths if (row["in before"], row["out before"]) != (row["in after"], row["out after"])]
    macs = [count_macs(search.structure, shapes) / 1e9 for shapes in (before, after)]
    height, width = search.config.data.height, search.config.data.width
    lines = [
        f"# {search.config.name.removesuffix(SUFFIX)}, pruned",
        "",
        f"{resource.tell(history[0].resource)} -> {resource.tell(history[-1].resource)}; "
        f"{metric} {history[0].score:.4f} -> {history[-1].score:.4f} before the long training; "
        f"{macs[0]:.3f} -> {macs[1]:.3f} GMACs at {height}x{width}; {search.iteration} iterations",
        "",
        _table(told),
        "",
        "![score against resource](tradeoff.png)",
        "",
        f"{len(changed)} of {len(widths)} layers have other widths (all of them: widths.csv):",
        "",
        _table(changed),
        "",
        "Next, the long training, with everything as in the run that was pruned:",
        "",
        *(f"    {command}" for command in next_commands(directory)),
        "",
    ]
    text = "\n".join(lines)
    (directory / "report.md").write_text(text)
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


def write_csv(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows of the same columns."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _table(rows: Iterable[dict[str, Any]]) -> str:
    return tabulate.tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
