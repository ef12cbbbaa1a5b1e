"""Puts runs beside each other and beside the paper.

    python -m mdepth_jax.report RUN... --output DIR

Writes DIR/tables.md and DIR/tables.csv (the paper's tables with our figures, runs of one row and several seeds as mean
and deviation, at the end of training), DIR/figure1.png (parameters against WHDR) and DIR/weights.png (weights of the
losses over time). A metric measured on another data set comes from
`python -m mdepth_jax.evaluate --model RUN ... --json RUN/evaluations/METRIC.json` (whdr, rmse,
delta1 or si_rmse), of the best weights.
"""

import argparse
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tabulate

from mdepth_jax import cli, plots
from mdepth_jax.files import write_csv, write_text
from mdepth_jax.paper import comparison


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the report, prints the tables; returns the exit status."""
    args = parse(argv)
    runs = [comparison.read_run(directory) for directory in args.runs]
    tables = {title: comparison.as_rows(lines) for title, lines in comparison.make_tables(runs).items()}
    args.output.mkdir(parents=True, exist_ok=True)
    text = markdown(tables)
    write_text(args.output / "tables.md", text)
    write_csv(args.output / "tables.csv", ({"table": title} | row for title, rows in tables.items() for row in rows))
    plots.save_tradeoff(args.output / "figure1.png", comparison.tradeoff(runs))
    plots.save_weights(
        args.output / "weights.png", {f"{run.directory.name}, seed {run.config.seed}": run.records for run in runs}
    )
    print(text)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=pathlib.Path, nargs="+", metavar="RUN", help="run directory")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder to write to")
    return parser.parse_args(argv)


def markdown(tables: Mapping[str, list[dict[str, Any]]]) -> str:
    """Gives all tables as Markdown."""
    return "\n".join(
        f"## {title}\n\n{tabulate.tabulate(rows, headers='keys', tablefmt='github', disable_numparse=True)}\n"
        for title, rows in tables.items()
    )


if __name__ == "__main__":
    cli.run(main)
