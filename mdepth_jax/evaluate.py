"""Evaluates a network on other data than it learned from: WHDR on pairs, at the original size; RMSE and others on maps.

python -m mdepth_jax.evaluate --model RUN                                   on the run's own test set
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv [--images ROOT]  on any pairs in DIW's format, or records
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv --depth_scale 0.001 [--crop eigen] [--align nyu]
                                           and on the depth maps next to the images (depth/, one code = 0.001 m)
python -m mdepth_jax.evaluate --model RUN --pairs FILE.csv --depth_scale 0.001 --align affine | disparity
                                           AbsRel, delta1 to 3, RMSE after a fit of scale and shift to each depth map
python -m mdepth_jax.evaluate --model m.tflite --pairs FILE.csv             any of these, for an exported file

Pairs are judged on whole images, depth maps in the part of the image that the network is trained for. The result says
data set, split and protocol. Relative depth is aligned to NYUv2, image by image, unless `--align` says otherwise.
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from mdepth_jax import cli
from mdepth_jax.data import loading
from mdepth_jax.data.crops import CROPS
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.files import hash_file, write_json
from mdepth_jax.inference.network import open_network
from mdepth_jax.inference.scoring import evaluate_network, to_json
from mdepth_jax.training import provenance
from mdepth_jax.training.evaluation import ALIGNMENTS, FITS
from mdepth_jax.training.summary import describe_evaluation, describe_origin
from mdepth_jax.training.terms import wanted_maps


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Values of the command line; see `parse`."""

    model: pathlib.Path
    pairs: pathlib.Path | None
    images: pathlib.Path | None
    split: str | None
    depth_scale: float | None
    crop: str
    align: str | None
    batch_size: int
    json: pathlib.Path | None

    def __post_init__(self) -> None:
        if not self.pairs and (self.depth_scale or self.images or self.split or self.crop != "none"):
            raise UserError(
                "`depth_scale`, `images`, `split` and `crop` go with `pairs`; the run's own set is read as its "
                "configuration says"
            )
        if self.pairs and not self.depth_scale and (self.crop != "none" or self.align not in (None, "none")):
            raise UserError("`crop` and `align` are about depth maps, which need `depth_scale`")
        if self.batch_size <= 0:
            raise UserError(f"`batch_size` is {self.batch_size}; it must be positive")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the scores with the numbers of pairs and maps behind them; returns the exit status."""
    flags = parse(argv)
    network = open_network(flags.model)
    config = network.config.copy_and_resolve_references()
    align = flags.align or provenance.default_alignment(config)
    if flags.pairs:
        source = open_source(flags.pairs, flags.split or "test", root=flags.images, maps=Maps(depth=flags.depth_scale))
        config.data.eval_crop = flags.crop
        has_maps = bool(flags.depth_scale)
    elif flags.model.suffix == ".tflite":
        raise UserError(f"{flags.model}: an exported file does not know its test set; give `pairs`")
    else:
        source = loading.open_test_source(config, wanted_maps(config))
        has_maps = wanted_maps(config).depth
    if flags.align not in (None, "none") and not has_maps:
        raise UserError(f"`align` is {flags.align!r}, but {flags.model} is not evaluated on depth maps; give "
                        "`pairs` and `depth_scale`")  # fmt: skip
    if align == "none" and has_maps and not provenance.predicts_depth(config):
        raise UserError(f"{flags.model} predicts relative depth, whose values cannot be compared with depth maps as "
                        "they are; set `align=nyu`, `align=affine` or `align=disparity`")  # fmt: skip
    result = evaluate_network(
        network.model, source, config, batch_size=flags.batch_size, has_maps=has_maps, align=align
    )
    if flags.align in FITS and not result.maps:
        raise UserError(f"{flags.pairs or flags.model}: no depth map has two known pixels to fit scale and shift to")
    if not result.scores:
        raise UserError(f"{flags.pairs or flags.model}: there are neither pairs nor depth maps to compare with")
    scores = provenance.score_evaluation(
        result,
        config,
        data=source.info,
        split=source.split,
        align=align,
        step=network.header.step,
        weights=hash_file(network.path),
    )
    print("\n".join([*describe_evaluation(result), *describe_origin(scores)]))
    if flags.json:
        write_json(flags.json, to_json(result, scores) | {"model": str(flags.model)})
    return 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.evaluate", __doc__)
    parser.add_argument(
        "--model", type=pathlib.Path, required=True, help="run directory, .safetensors, .tflite or 'embedded'"
    )
    parser.add_argument("--pairs", type=pathlib.Path, help="CSV of pairs in DIW's format, or prepared records")
    parser.add_argument("--images", type=pathlib.Path, help="folder of the CSV's paths (default: the CSV's own)")
    parser.add_argument("--split", help="split of prepared records (default: test)")
    parser.add_argument("--depth_scale", type=float, help="unit of a depth map's codes (default: no depth maps)")
    parser.add_argument("--crop", choices=tuple(CROPS), default="none", help="pixels of the depth maps that count")
    parser.add_argument("--align", choices=ALIGNMENTS,
                        help="shift and scale predictions, to NYUv2's depth or to each depth map (default: nyu for "
                        "relative depth, else none)")  # fmt: skip
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path, help="file to write the result to")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


if __name__ == "__main__":
    cli.run(main)
