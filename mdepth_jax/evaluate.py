"""Measures WHDR, the share of pairs that a network orders wrongly, at the original size of the images.

python -m mdepth_jax.evaluate --model RUN                                   on the run's own held-out pairs
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv [--images ROOT]  on any pairs in DIW's format
"""

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from flax import nnx

from mdepth_jax import cli
from mdepth_jax.data import loading, pipeline
from mdepth_jax.data.sources import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.models.weights import load_weights
from mdepth_jax.training import config as configuration
from mdepth_jax.training.evaluation import evaluate
from mdepth_jax.training.step import make_eval_step, make_mesh, replicate


def main(argv: Sequence[str] | None = None) -> int:
    """Prints WHDR and the number of pairs; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory or .safetensors file")
    parser.add_argument("--pairs", type=pathlib.Path, help="CSV of pairs in DIW's format")
    parser.add_argument("--images", type=pathlib.Path, help="folder of the CSV's paths (default: the CSV's own)")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path, help="file to write the result to")
    args = parser.parse_args(argv)

    model, _, about = load_weights(args.model)
    if args.pairs:
        source = open_source(args.pairs, root=args.images)
    elif args.model.is_dir():
        source = loading.open_eval_source(configuration.load(args.model))
    else:
        raise UserError(
            f"{args.model} is no run directory, so it has no held-out pairs of its own; give --pairs FILE.csv"
        )

    mesh = make_mesh()
    parts: tuple[Any, ...] = nnx.split(model, nnx.Param, nnx.BatchStat)
    graph, params, batch_stats = parts
    params, batch_stats = replicate((params, batch_stats), mesh)
    eval_step = make_eval_step(graph)
    spec = pipeline.BatchSpec(
        height=about["config"]["data"]["height"],
        width=about["config"]["data"]["width"],
        batch_size=mesh.size * -(-args.batch_size // mesh.size),
    )
    result = evaluate(lambda batch: eval_step(params, batch_stats, batch), pipeline.eval_batches(source, spec), mesh)

    print(f"WHDR {result.whdr:.4f} +- {result.interval:.4f} (n = {result.total} pairs, {result.wrong} wrong, 95 %)")
    print(f"     {result.row_whdr:.4f} of the baseline that knows the image row alone")
    if args.json:
        scores = {"whdr": result.whdr, "interval": result.interval, "pairs": result.total, "wrong": result.wrong,
                  "row_whdr": result.row_whdr, "model": str(args.model)}  # fmt: skip
        args.json.write_text(json.dumps(scores, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    cli.run(main)
