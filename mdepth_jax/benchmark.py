"""Measures speed. Every figure stands beside a reference that is measured in the same run, in turn.

python -m mdepth_jax.benchmark step [--batch_size 4 --height 224 --width 448]   the training step against nnx.Conv
python -m mdepth_jax.benchmark balancers                                        what weighing the losses costs
python -m mdepth_jax.benchmark encoders                                         every encoder, and compiling it
python -m mdepth_jax.benchmark data                                             the data pipeline
python -m mdepth_jax.benchmark tflite A.tflite B.tflite ... [--threads 1]       exported networks, against the first
python -m mdepth_jax.benchmark tflite A.tflite ... --device adb                 the same on a connected phone
python -m mdepth_jax.benchmark layers --model RUN --output FILE.csv             the layers of a network and of what can
    be pruned from it, for prune --target_latency_ms, against the whole; also with --threads and --device adb. The same
    command goes on where it was stopped.
"""

import argparse
import pathlib
from collections.abc import Sequence
from functools import partial

import jax
import tabulate

from mdepth_jax import cli
from mdepth_jax.data import pipeline
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.files import write_json
from mdepth_jax.models import load_weights
from mdepth_jax.training import environment
from mdepth_jax.training.run_directory import config_of_weights
from mdepth_jax.training.step_timing import Row, benchmark_balancers, benchmark_convolutions, benchmark_encoders, timed


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
        write_json(args.json, rows)
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
    commands = parser.add_subparsers(required=True, metavar="step|balancers|encoders|data|tflite|layers")
    functions = {
        "step": benchmark_convolutions,
        "balancers": benchmark_balancers,
        "encoders": benchmark_encoders,
        "data": benchmark_data,
    }
    for name, function in functions.items():
        commands.add_parser(name, parents=[batch]).set_defaults(measure=on_batches, function=function)
    device = argparse.ArgumentParser(add_help=False, parents=[shared])
    device.add_argument("--threads", type=int, default=1, help="of the CPU (default: 1)")
    device.add_argument("--device", choices=("here", "adb"), default="here", help="adb: a connected Android phone")
    device.add_argument("--tool", type=pathlib.Path, help="with adb: TensorFlow's benchmark_model, if not on the phone")
    tflite = commands.add_parser("tflite", parents=[device])
    tflite.add_argument("files", type=pathlib.Path, nargs="+", metavar="FILE.tflite")
    tflite.set_defaults(measure=on_files)
    layers = commands.add_parser("layers", parents=[device])
    layers.add_argument("--model", type=pathlib.Path, required=True, help="run directory or .safetensors file")
    layers.add_argument("--output", type=pathlib.Path, required=True, help="CSV to write, or to go on with")
    for side in ("--height", "--width"):
        layers.add_argument(side, type=int, help="of the image (default: the run's)")
    layers.set_defaults(measure=on_layers)
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
    return timing.describe_setting(args.rounds), timing.benchmark_files(args.files, args.threads, args.rounds)


def on_layers(args: argparse.Namespace) -> tuple[str, list[Row]]:
    """Measures the layers of a run's network; gives the setting and the row of the whole."""
    weights = load_weights(args.model)
    data = config_of_weights(weights).data
    from mdepth_jax.pruning import layer_timing
    from mdepth_jax.tflite import phone, timing

    if args.device == "adb":
        device = phone.connected_phone()
        time_files = partial(phone.time_files, runs=args.rounds * timing.BURST, tool=args.tool)
    else:
        device = timing.describe_processor()
        time_files = partial(timing.time_files, rounds=args.rounds)
    setting, time_files = f"{device}, {args.threads} threads", partial(time_files, threads=args.threads)
    size = args.height or data.height, args.width or data.width
    try:
        return setting, [layer_timing.measure_network(weights.model, *size, args.output, setting, time_files)]
    except KeyboardInterrupt:
        return f"Stopped; what was measured is in {args.output}. To go on: {environment.command()}", []


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
