"""What a search leaves beside its network: tables, a picture and the next command."""

import csv
import pathlib
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import tabulate

from mdepth_jax import plots
from mdepth_jax.pruning.resources import count_macs, layers
from mdepth_jax.pruning.search import SUFFIX, Search
from mdepth_jax.pruning.surgery import shapes_of


def write(search: Search) -> str:
    """Writes `report.md`, `iterations.csv`, `widths.csv` and `tradeoff.png`, and gives the text of the first."""
    directory, history, metric = search.workdir, search.history, search.config.train.best_by
    before, after = (shapes_of(search.structure, kept) for kept in (search.whole, search.kept))
    rows = [
        {"iteration": choice.iteration, "layer": choice.layer, "width": choice.width,
         search.resource.name: choice.resource, metric: choice.score, "seconds": search.seconds_of(choice.iteration)}
        for choice in history
    ]  # fmt: skip
    widths = [
        {"layer": conv.kernel.removesuffix(".kernel"), "in before": wide.in_channels, "out before": wide.out_channels,
         "in after": narrow.in_channels, "out after": narrow.out_channels}
        for conv, wide, narrow in zip(
            search.structure.convolutions,
            layers(search.structure, before),
            layers(search.structure, after),
            strict=True,
        )
    ]  # fmt: skip
    write_csv(directory / "iterations.csv", rows)
    write_csv(directory / "widths.csv", widths)
    points = [(choice.resource, choice.score) for choice in history]
    plots.save_search(directory / "tradeoff.png", points, search.resource.name, metric)
    macs = [count_macs(search.structure, shapes) / 1e9 for shapes in (before, after)]
    height, width = search.config.data.height, search.config.data.width
    lines = [
        f"# {search.config.name.removesuffix(SUFFIX)}, pruned",
        "",
        f"{search.resource.tell(history[0].resource)} -> {search.resource.tell(history[-1].resource)}; "
        f"{metric} {history[0].score:.4f} -> {history[-1].score:.4f} before the long training; "
        f"{macs[0]:.3f} -> {macs[1]:.3f} GMACs at {height}x{width}; {search.iteration} iterations",
        "",
        _table(rows),
        "",
        "![score against resource](tradeoff.png)",
        "",
        _table(widths),
        "",
        "Next, the long training, with everything as in the run that was pruned:",
        "",
        *(f"    {command}" for command in next_commands(directory)),
        "",
    ]
    text = "\n".join(lines)
    (directory / "report.md").write_text(text)
    return text


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
    return tabulate.tabulate(rows, headers="keys", tablefmt="github", floatfmt=".4f", intfmt=",")
