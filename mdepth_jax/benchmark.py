"""Measures speed. Every figure stands beside a reference that is measured in the same run, in turn.

python -m mdepth_jax.benchmark step [--batch_size 4 --height 224 --width 448]   the training step against nnx.Conv
python -m mdepth_jax.benchmark balancers                                        what weighing the losses costs
python -m mdepth_jax.benchmark encoders                                         every encoder, and compiling it
python -m mdepth_jax.benchmark data                                             the data pipeline
python -m mdepth_jax.benchmark tflite A.tflite B.tflite ... [--threads 1]       exported networks, against the first
python -m mdepth_jax.benchmark tflite A.tflite ... --device adb                 the same on a connected phone
"""

import argparse
import json
import os
import pathlib
import platform
from collections.abc import Sequence

import jax
import tabulate

from mdepth_jax import cli
from mdepth_jax.data import pipeline
from mdepth_jax.data.scenes import Scenes
from mdepth_jax.training.benchmark import Row, benchmark_balancers, benchmark_convolutions, benchmark_encoders, timed


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, and writes it as JSON if asked; returns the exit status."""
    args = parse(argv)
    setting, rows = args.measure(args)
    print(setting)
    table = [{key: value for key, value in row.items() if not isinstance(value, dict)} for row in rows]
    print(tabulate.tabulate(table, headers="keys", floatfmt=".4g", intfmt=","))
    for row in rows:
        for key, value in row.items():
            if isinstance(value, dict):
                counts = ", ".join(f"{count} {name}" for name, count in value.items())
                print(f"{row['model']}, {key}: {counts or 'none'}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--rounds", type=int, default=5, help="measurements of each row (default: 5)")
    shared.add_argument("--json", type=pathlib.Path, help="file to write the table to")
    batch = argparse.ArgumentParser(add_help=False, parents=[shared])
    batch.add_argument("--batch_size", type=int, default=4)
    batch.add_argument("--height", type=int, default=224)
    batch.add_argument("--width", type=int, default=448)
    commands = parser.add_subparsers(required=True, metavar="step|balancers|encoders|data|tflite")
    functions = {
        "step": benchmark_convolutions,
        "balancers": benchmark_balancers,
        "encoders": benchmark_encoders,
        "data": benchmark_data,
    }
    for name, function in functions.items():
        commands.add_parser(name, parents=[batch]).set_defaults(measure=on_batches, function=function)
    tflite = commands.add_parser("tflite", parents=[shared])
    tflite.add_argument("files", type=pathlib.Path, nargs="+", metavar="FILE.tflite")
    tflite.add_argument("--threads", type=int, default=1, help="of the CPU (default: 1)")
    tflite.add_argument("--device", choices=("here", "adb"), default="here", help="adb: a connected Android phone")
    tflite.add_argument("--tool", type=pathlib.Path, help="with adb: TensorFlow's benchmark_model, if not on the phone")
    tflite.set_defaults(measure=on_files)
    args = parser.parse_args(argv)
    if args.rounds < 1 or getattr(args, "threads", 1) < 1:
        parser.error("--rounds and --threads must be positive")
    return args


def on_batches(args: argparse.Namespace) -> tuple[str, list[Row]]:
    """Measures what works on batches of images; gives the setting and the rows."""
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    rows = args.function(args.batch_size, args.height, args.width, args.rounds)
    return f"{device}, batch {args.batch_size}, {args.height}x{args.width}", rows


def on_files(args: argparse.Namespace) -> tuple[str, list[Row]]:
    """Measures exported networks; gives the setting and the rows."""
    from mdepth_jax.tflite import interpreter, phone, timing  # TFLite takes seconds to import

    if args.device == "adb":
        for file in args.files:
            interpreter.open_interpreter(file)  # a file that is none is found out here
        setting = f"{phone.connected_phone()}, {args.threads} threads"
        return setting, phone.benchmark_on_phone(args.files, args.threads, args.rounds * timing.BURST, args.tool)
    setting = f"{platform.machine()}, {os.cpu_count()} cores, {args.rounds} x {timing.BURST} runs"
    return setting, timing.benchmark_files(args.files, args.threads, args.rounds)


def benchmark_data(batch_size: int, height: int, width: int, rounds: int) -> list[Row]:
    """Times the embedded scenes through the pipeline, against reading one by one."""
    count = -(-rounds * 32 // batch_size)
    source = Scenes(2 * count * batch_size, height, width)
    spec = pipeline.BatchSpec(height=height, width=width, batch_size=batch_size, depth=True)
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
