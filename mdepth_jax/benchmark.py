"""Measures speed. Every figure stands beside a reference that is measured in the same run, in turn.

python -m mdepth_jax.benchmark step [--batch_size 4 --height 224 --width 448]   the training step against nnx.Conv
python -m mdepth_jax.benchmark balancers                                        what weighing the losses costs
python -m mdepth_jax.benchmark encoders                                         every encoder, compiling included
python -m mdepth_jax.benchmark data                                             the data pipeline
"""

import argparse
import json
import pathlib
from collections.abc import Sequence

import jax
import tabulate

from mdepth_jax import cli
from mdepth_jax.data import pipeline
from mdepth_jax.data.scenes import Scenes
from mdepth_jax.training.benchmark import (
    Row,
    benchmark_balancers,
    benchmark_convolutions,
    benchmark_encoders,
    timed,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, and writes it as JSON if asked; returns the exit status."""
    measures = {
        "step": benchmark_convolutions,
        "balancers": benchmark_balancers,
        "encoders": benchmark_encoders,
        "data": benchmark_data,
    }
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=measures)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--height", type=int, default=224)
    parser.add_argument("--width", type=int, default=448)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each row")
    parser.add_argument("--json", type=pathlib.Path, help="file to write the table to")
    args = parser.parse_args(argv)
    rows = measures[args.what](args.batch_size, args.height, args.width, args.rounds)
    print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, batch {args.batch_size}, {args.height}x{args.width}")
    print(tabulate.tabulate(rows, headers="keys", floatfmt=".4g"))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def benchmark_data(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the embedded scenes through the pipeline, against reading one by one."""
    source = Scenes(rounds * 64, height, width)
    spec = pipeline.BatchSpec(height=height, width=width, batch_size=batch_size, depth=True)
    count = rounds * 32 // batch_size
    batches = pipeline.train_batches(source, spec, seed=0)
    next(batches)
    one_by_one = timed(lambda: [source[index] for index in range(count * batch_size)])
    piped = timed(lambda: [next(batches) for _ in range(count)])
    seconds = {"scenes, one by one": one_by_one, "scenes, pipeline": piped}
    return [
        {"source": name, "images_per_second": count * batch_size / value, "times_faster": one_by_one / value}
        for name, value in seconds.items()
    ]


if __name__ == "__main__":
    cli.run(main)
