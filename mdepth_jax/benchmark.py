"""Measures speed. Every figure stands next to a reference that is measured in the same process, in turn.

python -m mdepth_jax.benchmark step [--batch_size 4 --height 224 --width 448]   the training step against nnx.Conv
python -m mdepth_jax.benchmark balancers                                        the cost of balancing the losses
python -m mdepth_jax.benchmark losses                                           the affine terms against RMSE
python -m mdepth_jax.benchmark encoders                                         every encoder, and compiling it
python -m mdepth_jax.benchmark data                                             the data pipeline
python -m mdepth_jax.benchmark tflite A.tflite B.tflite ... [--threads 1]       exported networks, against the first
python -m mdepth_jax.benchmark tflite A.tflite ... --device adb                 the same on a connected phone
python -m mdepth_jax.benchmark layers --model RUN --output FILE.csv             the layers of a network and of all
    that it can be pruned to, for prune --target_latency_ms; also with --device adb. An interrupted command continues.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tabulate

from mdepth_jax import cli
from mdepth_jax.data.pipeline_timing import benchmark_pipeline
from mdepth_jax.errors import UserError
from mdepth_jax.files import write_json
from mdepth_jax.models import load_weights
from mdepth_jax.pruning.layer_timing import time_network
from mdepth_jax.tflite.device import Device
from mdepth_jax.training import environment
from mdepth_jax.training.run_directory import config_of_weights
from mdepth_jax.training.step_timing import (
    benchmark_balancers,
    benchmark_convolutions,
    benchmark_encoders,
    benchmark_losses,
)

BATCH_BENCHMARKS = {
    "step": benchmark_convolutions,
    "balancers": benchmark_balancers,
    "losses": benchmark_losses,
    "encoders": benchmark_encoders,
    "data": benchmark_pipeline,
}
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags of all benchmarks; `measure` of each returns the setting, in words, and the rows of a table."""

    benchmark: str
    rounds: int
    json: Path | None

    def __post_init__(self) -> None:
        for name in ("rounds", "threads"):
            if (value := getattr(self, name, 1)) < 1:
                raise UserError(f"`{name}` is {value}; it must be positive")


@dataclass(frozen=True, kw_only=True)
class BatchFlags(Flags):
    """Flags of the benchmarks on batches of images."""

    batch_size: int
    height: int
    width: int

    def measure(self) -> tuple[str, list[Row]]:
        """Runs the benchmark on all devices of JAX."""
        setting = f"{jax.device_count()} x {jax.devices()[0].device_kind}, batch {self.batch_size}"
        rows = BATCH_BENCHMARKS[self.benchmark](self.batch_size, self.height, self.width, self.rounds)
        return f"{setting}, {self.height}x{self.width}", rows


@dataclass(frozen=True, kw_only=True)
class FileFlags(Flags, Device):
    """Flags of the benchmark of `.tflite` files."""

    files: list[Path]

    def measure(self) -> tuple[str, list[Row]]:
        """Runs the benchmark."""
        return self.benchmark_files(self.files)


@dataclass(frozen=True, kw_only=True)
class LayerFlags(Flags, Device):
    """Flags of the benchmark of a network's layers."""

    model: Path
    output: Path
    height: int | None
    width: int | None

    def measure(self) -> tuple[str, list[Row]]:
        """Fills the table of latencies; returns the row of the whole network."""
        weights = load_weights(self.model)
        data = config_of_weights(weights).data
        size, setting = (self.height or data.height, self.width or data.width), self.describe()
        try:
            timing = time_network(weights.model, *size, self.output, setting, self.time_files)
        except KeyboardInterrupt:
            return f"Stopped; the layers timed so far are in {self.output}. To continue: {environment.command()}", []
        return setting, [timing.to_row()]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, and writes it as JSON if asked; returns the exit status."""
    flags = parse(argv)
    setting, rows = flags.measure()
    print(setting)
    hidden = {key for row in rows for key, value in row.items() if isinstance(value, dict)} | {"setting", "weights"}
    table = [{key: value for key, value in row.items() if key not in hidden} for row in rows]
    print(tabulate.tabulate(table, headers="keys", floatfmt=".4g", intfmt=","))
    for row in rows:
        for key, value in row.items():
            if isinstance(value, dict):
                counts = ", ".join(f"{count} {name}" for name, count in value.items())
                print(f"{row['model']}, {key}: {counts or 'none'}")
    if flags.json:
        write_json(flags.json, rows)
    return 0


def parse(argv: Sequence[str] | None) -> BatchFlags | FileFlags | LayerFlags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.benchmark", __doc__)
    shared, batch, device = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    shared.add_argument("--rounds", type=int, default=5, help="repetitions of each row (default: 5)")
    shared.add_argument("--json", type=Path, help="file to write the table to")
    batch.add_argument("--batch_size", type=int, default=4)
    batch.add_argument("--height", type=int, default=224)
    batch.add_argument("--width", type=int, default=448)
    device.add_argument("--threads", type=int, default=1, help="of the CPU (default: 1)")
    device.add_argument("--device", choices=("here", "adb"), default="here", help="adb: a connected Android phone")
    device.add_argument("--tool", type=Path, help="with adb: TensorFlow's benchmark_model, if not on the phone")
    names = "step|balancers|losses|encoders|data|tflite|layers"
    commands = parser.add_subparsers(required=True, dest="benchmark", metavar=names)
    for name in BATCH_BENCHMARKS:
        commands.add_parser(name, parents=[shared, batch]).set_defaults(flags=BatchFlags)
    tflite = commands.add_parser("tflite", parents=[shared, device])
    tflite.add_argument("files", type=Path, nargs="+", metavar="FILE.tflite")
    tflite.set_defaults(flags=FileFlags)
    layers = commands.add_parser("layers", parents=[shared, device])
    layers.add_argument("--model", type=Path, required=True, help="run directory or .safetensors file")
    layers.add_argument("--output", type=Path, required=True, help="CSV to write, or to continue")
    for side in ("--height", "--width"):
        layers.add_argument(side, type=int, help="of the image (default: the run's)")
    layers.set_defaults(flags=LayerFlags)
    return cli.parse(parser, argv)


if __name__ == "__main__":
    cli.run(main)
