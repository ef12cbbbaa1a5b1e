"""Narrows a trained network until it needs less than a target (NetAdapt).

python -m mdepth_jax.prune --model RUN --target_params 1.9e6 --workdir DIR [--config.key=value ...]
python -m mdepth_jax.prune --model RUN --target_macs 2.5e8 --workdir DIR
python -m mdepth_jax.prune --model RUN --target_latency_ms 40 --latency_table FILE.csv --workdir DIR
    where python -m mdepth_jax.benchmark layers --model RUN --output FILE.csv makes the table
python -m mdepth_jax.prune --model RUN --target_params 1.9e6 --one_shot --workdir DIR      no search: seconds

Data, losses and held-out set are the run's own; --config.key=value replaces a key of its configuration:
--config.data.root=DIR where its data have moved, --config.data.eval=SPLIT to choose by other images than those that
judge the result. DIR becomes an ordinary run of the narrower network; the last lines say how to train it on. The same
command on the same directory goes on where it was stopped.
"""

import argparse
import ast
import pathlib
from collections.abc import Sequence
from typing import Any

from mdepth_jax import cli
from mdepth_jax.pruning import setup, summary
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.pruning.search import Subject
from mdepth_jax.training import environment


def main(argv: Sequence[str] | None = None) -> int:
    """Searches and reports; returns the exit status."""
    args, overrides = parse(argv)
    subject = open_flags(args, overrides)
    flags = {key: str(value) for key, value in vars(args).items()}
    if args.one_shot:
        print(setup.cut_at_once(subject, args.workdir, flags))
        return 0
    search = setup.make_search(subject, args.workdir, flags)
    finished = search.run()
    text = summary.write(search)
    if finished:
        print(text)
    else:
        print(f"Stopped after iteration {search.iteration}; everything is saved. To go on: {environment.command()}")
    return 0


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Reads the command line: the flags, and the keys to replace in the run's configuration."""
    default = Settings(0.0)
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.prune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory, .safetensors or 'embedded'")
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="directory of the pruned run")
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--target_params", type=float, metavar="N", help="number of parameters")
    targets.add_argument("--target_macs", type=float, metavar="N", help="multiply-adds at the run's image size")
    targets.add_argument(
        "--target_latency_ms", type=float, metavar="MS", help="sum of the layers' times in --latency_table"
    )
    parser.add_argument("--latency_table", type=pathlib.Path,
                        help="CSV of python -m mdepth_jax.benchmark layers, or with its columns: operation (conv, "
                        "depthwise, upsampled_depthwise), kernel, stride, height, width (of the output), in_channels, "
                        "out_channels, ms")  # fmt: skip
    parser.add_argument("--one_shot", action="store_true",
                        help="the same share of every group of channels, those with the largest weights")  # fmt: skip
    parser.add_argument("--first_step", type=float, default=default.first_step,
                        help="share that the first iteration saves (default: %(default)s)")  # fmt: skip
    parser.add_argument("--decay", type=float, default=default.decay, help="of the steps (default: %(default)s)")
    parser.add_argument("--short_steps", type=int, default=default.short_steps,
                        help="training steps of every proposal (default: %(default)s)")  # fmt: skip
    parser.add_argument("--learning_rate", type=float, default=default.learning_rate,
                        help="of those steps (default: %(default)s)")  # fmt: skip
    parser.add_argument("--evaluation_batches", type=int, default=default.evaluation_batches,
                        help="of the held-out set, to judge a proposal; 0 for all (default: %(default)s)")  # fmt: skip
    args, rest = parser.parse_known_args(argv)
    if not (0 < args.first_step < 1 and 0 < args.decay <= 1):
        parser.error("--first_step must lie between 0 and 1, --decay above 0 and at most at 1")
    if args.short_steps < 1 or args.learning_rate <= 0 or args.evaluation_batches < 0:
        parser.error("--short_steps and --learning_rate must be positive, --evaluation_batches 0 or more")
    overrides = {}
    for flag in rest:
        key, equals, value = flag.removeprefix("--config.").partition("=")
        if not flag.startswith("--config.") or not equals:
            parser.error(f"unrecognized argument: {flag}")
        overrides[key] = _literal(value)
    return args, overrides


def open_flags(args: argparse.Namespace, overrides: dict[str, Any]) -> Subject:
    """Opens what the flags name.

    Raises:
        UserError: As `setup.open_run`.
    """
    targets = {"params": args.target_params, "macs": args.target_macs, "latency_ms": args.target_latency_ms}
    resource, target = next((name, amount) for name, amount in targets.items() if amount is not None)
    settings = Settings(
        target,
        first_step=args.first_step,
        decay=1.0 if args.one_shot else args.decay,  # without a search there is no schedule that could fall short
        short_steps=args.short_steps,
        learning_rate=args.learning_rate,
        evaluation_batches=args.evaluation_batches,
    )
    return setup.open_run(args.model, overrides, resource, settings, args.latency_table)


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


if __name__ == "__main__":
    cli.run(main)
