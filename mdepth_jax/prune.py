"""Narrows a trained network until it needs less than a target (NetAdapt).

python -m mdepth_jax.prune --model RUN --target_params 1.9e6 --workdir DIR [--config.key=value ...]
python -m mdepth_jax.prune --model RUN --target_macs 2.5e8 --workdir DIR
python -m mdepth_jax.prune --model RUN --target_latency_ms 40 --latency_table FILE.csv --workdir DIR
    where python -m mdepth_jax.benchmark layers --model RUN --output FILE.csv makes the table

Data, losses and held-out set are the run's own; --config.key=value replaces a key of its configuration:
--config.data.root=DIR where its data have moved, --config.data.eval=SPLIT to choose by other images than those that
judge the result. DIR becomes an ordinary run of the narrower network; the last lines say how to train it on. The same
command on the same directory goes on where it was stopped.
"""

import argparse
import ast
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax import cli
from mdepth_jax.data.loading import open_data
from mdepth_jax.errors import UserError
from mdepth_jax.files import write_whole
from mdepth_jax.models import load_weights
from mdepth_jax.pruning import netadapt, report
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.search import Search
from mdepth_jax.teaching import open_teacher
from mdepth_jax.training import config as configuration
from mdepth_jax.training import environment
from mdepth_jax.training.objective import make_objective


def main(argv: Sequence[str] | None = None) -> int:
    """Searches and reports; returns the exit status."""
    args, overrides = parse(argv)
    search = prepare(args, overrides)
    finished = search.run()
    text = report.write(search)
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
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory or .safetensors file")
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="directory of the pruned run")
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--target_params", type=float, help="number of parameters")
    targets.add_argument("--target_macs", type=float, help="multiply-adds at the run's image size")
    targets.add_argument("--target_latency_ms", type=float, help="sum of the layers' times in --latency_table")
    parser.add_argument("--latency_table", type=pathlib.Path,
                        help="CSV of python -m mdepth_jax.benchmark layers, or with its columns: operation (conv, "
                        "depthwise, upsampled_depthwise), kernel, stride, height, width (of the output), in_channels, "
                        "out_channels, ms")  # fmt: skip
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


def prepare(args: argparse.Namespace, overrides: dict[str, Any]) -> Search:
    """Builds everything that the flags and the run describe.

    Raises:
        UserError: If the run, its data, the target or the table will not do, or the directory is another search's.
    """
    model, model_config, about = load_weights(args.model)
    config = configuration.of_weights(about, args.model)
    for key, value in overrides.items():
        configuration.override(config, key, value)
    if config.model.heads:
        print(f"{args.model} was trained with {config.model.heads} intermediate heads; they are dropped")
    config.model.update(model_config.to_dict() | {"dtype": config.model.dtype})
    if "holistic" in config.loss.terms.split("+"):
        print("The discriminator stays out of the search: its proposals are trained without the term 'holistic'")
        config.loss.terms = "+".join(term for term in config.loss.terms.split("+") if term != "holistic")
    configuration.check(config)
    structure = find_structure(model, config.data.height, config.data.width)
    name, target = _target(args)
    resource = make_resource(name, structure, args.latency_table)
    settings = Settings(
        target,
        first_step=args.first_step,
        decay=args.decay,
        short_steps=args.short_steps,
        learning_rate=args.learning_rate,
        evaluation_batches=args.evaluation_batches,
    )
    netadapt.check_target(structure, resource, settings)
    data, supervision = open_data(config)
    objective = make_objective(config, supervision)
    teacher = open_teacher(config)
    bind_to_workdir(args, config)
    return Search(model, structure, resource, settings, config, objective, data, teacher, about, args.workdir)


def bind_to_workdir(args: argparse.Namespace, config: ConfigDict) -> None:
    """Writes what is searched into a new directory, or checks that it is what the directory was made with.

    Raises:
        UserError: If it belongs to a training run or to another search, naming the first keys that differ.
    """
    ours = {"flags": {key: str(value) for key, value in vars(args).items()}, "config": config.to_dict()}
    path = args.workdir / "search.json"
    if path.exists():
        theirs = ConfigDict(json.loads(path.read_text()))
        if differing := configuration.differences(ConfigDict(json.loads(json.dumps(ours))), theirs):
            raise UserError(
                f"{args.workdir} belongs to another search ({'; '.join(differing[:3])}); choose another --workdir, or "
                "give the same flags to continue that search"
            )
    elif (args.workdir / "config.json").exists():
        raise UserError(f"{args.workdir} holds a run already; choose another --workdir")
    else:
        args.workdir.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(ours, indent=2) + "\n")


def _target(args: argparse.Namespace) -> tuple[str, float]:
    targets = {"params": args.target_params, "macs": args.target_macs, "latency_ms": args.target_latency_ms}
    return next((name, amount) for name, amount in targets.items() if amount is not None)


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


if __name__ == "__main__":
    cli.run(main)
