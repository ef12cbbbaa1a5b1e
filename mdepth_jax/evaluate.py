"""Measures a network on held-out data: WHDR on ordinal pairs, at the original size; RMSE and others on depth maps.

python -m mdepth_jax.evaluate --model RUN                                   on the run's own held-out set
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv [--images ROOT]  on any pairs in DIW's format, or records
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv --depth_scale 0.001 [--crop eigen] [--align nyu]
                                           and on the depth maps beside the images (depth/, one code = 0.001 m)
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from flax import nnx

from mdepth_jax import cli
from mdepth_jax.data import loading, pipeline
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.sources import Maps, open_source
from mdepth_jax.errors import UserError
from mdepth_jax.models.weights import load_weights
from mdepth_jax.training import config as configuration
from mdepth_jax.training.evaluation import Evaluation, evaluate
from mdepth_jax.training.report import describe_evaluation
from mdepth_jax.training.step import make_eval_step, make_mesh, replicate


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the scores, each with the number that it was measured on; returns the exit status."""
    args = parse(argv)
    model, _, about = load_weights(args.model)
    config = configuration.complete(about["config"], str(args.model))
    if args.pairs:
        source = open_source(args.pairs, args.split, root=args.images, maps=Maps(depth=args.depth_scale))
        config.data.crop, config.data.eval_crop = "none", args.crop
    elif args.model.is_dir():
        config = configuration.load(args.model)
        source = loading.open_eval_source(config)
    else:
        raise UserError(
            f"{args.model} is no run directory, so it has no held-out pairs of its own; give --pairs FILE.csv"
        )
    has_maps = bool(args.depth_scale) if args.pairs else loading.uses_depth(config)
    result = measure(model, source, config, args, has_maps)
    if not result.scores:
        raise UserError(f"{args.pairs or args.model}: there are neither pairs nor depth maps to compare with")
    print("\n".join(describe_evaluation(result)))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(as_json(result) | {"model": str(args.model)}, indent=2) + "\n")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory or .safetensors file")
    parser.add_argument("--pairs", type=pathlib.Path, help="CSV of pairs in DIW's format, or prepared records")
    parser.add_argument("--images", type=pathlib.Path, help="folder of the CSV's paths (default: the CSV's own)")
    parser.add_argument("--split", default="test", help="of prepared records (default: test)")
    parser.add_argument("--depth_scale", type=float, help="unit of a depth map's codes; none: maps do not count")
    parser.add_argument("--crop", choices=tuple(CROPS), default="none", help="pixels of the maps that count")
    parser.add_argument("--align", choices=("none", "nyu"), default="none",
                        help="shift and scale predictions to NYUv2's depth, as relative depth needs")  # fmt: skip
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path, help="file to write the result to")
    args = parser.parse_args(argv)
    if not args.pairs and (args.depth_scale or args.images or args.crop != "none"):
        parser.error(
            "--depth_scale, --images and --crop go with --pairs; a run's own set is read as its configuration says"
        )
    return args


def measure(model: Any, source: Any, config: Any, args: argparse.Namespace, has_maps: bool) -> Evaluation:
    """Evaluates a network on all devices.

    Args:
        model: In evaluation mode.
        source: The held-out set.
        config: Of the run that made the network.
        args: Of `parse`.
        has_maps: Whether the set's depth maps count.
    """
    mesh = make_mesh()
    parts: tuple[Any, ...] = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, params, batch_stats = parts
    params, batch_stats = replicate((params, batch_stats), mesh)
    eval_step = make_eval_step(graph)
    batch_size = mesh.size * -(-args.batch_size // mesh.size)
    spec = dataclasses.replace(loading.eval_spec(config), batch_size=batch_size)
    truths = pipeline.eval_truths(source, spec, CROPS[config.data.eval_crop]) if has_maps else None
    return evaluate(
        lambda batch: eval_step(params, batch_stats, batch),
        pipeline.eval_batches(source, dataclasses.replace(spec, depth=False, teacher_depth=False)),
        mesh,
        truths,
        log=config.data.log,
        align=args.align == "nyu",
    )


def as_json(result: Evaluation) -> dict[str, Any]:
    """Gives the scores with their counts, as plain numbers."""
    scores: dict[str, Any] = dict(result.scores)
    if result.total:
        scores |= {
            "interval": result.interval,
            "pairs": result.total,
            "wrong": result.wrong,
            "row_whdr": result.row_whdr,
        }
    if result.maps:
        scores |= {"depth_maps": result.maps}
    return scores


if __name__ == "__main__":
    cli.run(main)
