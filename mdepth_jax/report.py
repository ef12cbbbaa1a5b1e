"""Compares runs with one another and with the paper.

    python -m mdepth_jax.report RUN... --output DIR

Writes DIR/tables.md and DIR/tables.csv (the paper's tables with our figures, several seeds as mean and deviation),
DIR/figure1.png (parameters against WHDR) and DIR/weights.png (weights of the losses over time).

All scores are those of a run's best weights. A cell of the paper is filled by a score on the paper's test set (WHDR:
DIW, RMSE and delta1: NYUv2, SI-RMSE: the Mannequin Challenge) and by its protocol; all others are in tables that name
their data. Scores on further sets are read from RUN/evaluations/*.json, times from RUN/benchmarks/*.json:

    python -m mdepth_jax.evaluate --model RUN ... --json RUN/evaluations/NAME.json
    python -m mdepth_jax.benchmark tflite RUN/m.tflite [--device adb] --json RUN/benchmarks/NAME.json
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from mdepth_jax import cli, plots
from mdepth_jax.files import write_csv, write_text
from mdepth_jax.paper import comparison
from mdepth_jax.paper.runs import read_run


@dataclass(frozen=True)
class Flags:
    """Flags of the command line.

    Attributes:
        runs: Run directories.
        output: Folder to write to.
    """

    runs: list[pathlib.Path]
    output: pathlib.Path


def main(argv: Sequence[str] | None = None) -> int:
    """Writes and prints the report; returns the exit status."""
    flags = parse(argv)
    runs = [read_run(directory) for directory in flags.runs]
    tables = comparison.make_tables(runs)
    text = comparison.format_markdown(tables)
    write_text(flags.output / "tables.md", text)
    write_csv(flags.output / "tables.csv", [{"table": title} | row for title, rows in tables.items() for row in rows])
    plots.save_tradeoff(flags.output / "figure1.png", comparison.make_tradeoff(runs))
    plots.save_loss_weights(
        flags.output / "weights.png", {f"{run.directory.name}, seed {run.config.seed}": run.records for run in runs}
    )
    print(text)
    return 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.report", __doc__)
    parser.add_argument("runs", type=pathlib.Path, nargs="+", metavar="RUN", help="run directory")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder to write to")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


if __name__ == "__main__":
    cli.run(main)
