"""Measures a network on held-out data: WHDR on ordinal pairs, at the original size; RMSE and others on depth maps.

python -m mdepth_jax.evaluate --model RUN                                   on the run's own held-out set
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv [--images ROOT]  on any pairs in DIW's format, or records
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv --depth_scale 0.001 [--crop eigen] [--align nyu]
                                           and on the depth maps beside the images (depth/, one code = 0.001 m)
python -m mdepth_jax.evaluate --model m.tflite --pairs FILE.csv            any of these, on an exported file itself
"""

import argparse
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax import cli
from mdepth_jax.data import loading
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.files import write_json
from mdepth_jax.inference.scoring import measure
from mdepth_jax.models import DepthNet, load_weights
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.training.evaluation import Evaluation
from mdepth_jax.training.run_directory import complete_config, config_of_weights
from mdepth_jax.training.summary import describe_evaluation
from mdepth_jax.training.terms import wanted_maps


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the scores, each with the number that it was measured on; returns the exit status."""
    args = parse(argv)
    network, config = open_network(args.model)
    if args.pairs:
        source = open_source(args.pairs, args.split or "test", root=args.images, maps=Maps(depth=args.depth_scale))
        config.data.crop, config.data.eval_crop = "none", args.crop
    elif args.model.suffix == ".tflite":
        raise UserError(f"{args.model}: an exported file does not know its held-out set; give --pairs FILE.csv")
    else:
        source = loading.open_eval_source(config, wanted_maps(config))
    has_maps = bool(args.depth_scale) if args.pairs else wanted_maps(config).depth
    if args.align != "none" and not has_maps:
        raise UserError(
            f"--align {args.align}: {args.model} is not judged by depth maps; give --pairs FILE.csv --depth_scale UNIT"
        )
    result = measure(network, source, config, batch_size=args.batch_size, has_maps=has_maps, align=args.align == "nyu")
    if not result.scores:
        raise UserError(f"{args.pairs or args.model}: there are neither pairs nor depth maps to compare with")
    print("\n".join(describe_evaluation(result)))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(args.json, as_json(result) | {"model": str(args.model)})
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", type=pathlib.Path, required=True, help="run directory, .safetensors, .tflite or 'embedded'"
    )
    parser.add_argument("--pairs", type=pathlib.Path, help="CSV of pairs in DIW's format, or prepared records")
    parser.add_argument("--images", type=pathlib.Path, help="folder of the CSV's paths (default: the CSV's own)")
    parser.add_argument("--split", help="of prepared records (default: test)")
    parser.add_argument("--depth_scale", type=float, help="unit of a depth map's codes; none: maps do not count")
    parser.add_argument("--crop", choices=tuple(CROPS), default="none", help="pixels of the maps that count")
    parser.add_argument("--align", choices=("none", "nyu"), default="none",
                        help="shift and scale predictions to NYUv2's depth, as relative depth needs")  # fmt: skip
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path, help="file to write the result to")
    args = parser.parse_args(argv)
    if not args.pairs and (args.depth_scale or args.images or args.split or args.crop != "none"):
        parser.error(
            "--depth_scale, --images, --split and --crop go with --pairs; a run's own set is read as its configuration "
            "says"
        )
    if args.pairs and not args.depth_scale and (args.crop, args.align) != ("none", "none"):
        parser.error("--crop and --align are about depth maps, which --depth_scale asks for")
    return args


def open_network(path: pathlib.Path) -> tuple[DepthNet | DepthInterpreter, ConfigDict]:
    """Reads a network, and the configuration of the run that made it with the size of the network's images.

    Args:
        path: As in `models.weights.find_weights`, or a `.tflite` file.

    Raises:
        UserError: As `load_weights` and `DepthInterpreter`.
    """
    if path.suffix != ".tflite":
        weights = load_weights(path)
        return weights.model, config_of_weights(weights)
    network = DepthInterpreter(path, threads=os.cpu_count() or 1)
    config = complete_config(network.metadata.get("config", {}), str(path))
    config.data.height, config.data.width = network.height, network.width
    return network, config


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
