"""Prints size, cost and field of view of every encoder with every decoder, beside the paper's counts.

Example:
    python -m mdepth_jax.models --height 224 --width 224
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from mdepth_jax import cli
from mdepth_jax.models.complexity import count_macs_of, count_parameters, receptive_field
from mdepth_jax.models.decoders import DECODERS
from mdepth_jax.models.depth_net import STRIDE
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.paper.figures import PARAMETERS

# Name in the table, name in `DECODERS`, options.
ROWS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("nnconv5", "nnconv5", {}),
    ("fbnet", "fbnet", {"last_layer": "block"}),
    ("fbnet x112", "fbnet", {"last_layer": "upsample"}),
    ("redweb", "redweb", {}),
)
NOTE = """Without intermediate heads; fbnet x112 is last_layer="upsample", fbnet "block". The counts of the paper for
ghostnet with nnconv5 and for mixnet_m with fbnet are not met by the rules that meet all others. The receptive field, in
pixels, is that of the encoder's last feature, squeeze-excite layers aside."""


class Network(NamedTuple):
    """A row of the table.

    Attributes:
        encoder: Name.
        decoder: Name.
        parameters: Number of trainable scalars.
        macs: Multiply-adds for one image.
        receptive_field: Of the encoder's last feature, in pixels; squeeze-excite layers aside.
        paper: Millions of parameters in the paper.
    """

    encoder: str
    decoder: str
    parameters: int
    macs: int
    receptive_field: int
    paper: float | None


def networks(height: int, width: int) -> Iterator[Network]:
    """Gives the rows of the table, without heads.

    Args:
        height: Of the image in pixels; a multiple of 32.
        width: Of the image in pixels; a multiple of 32.
    """
    image = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    for name, make_encoder in ENCODERS.items():
        encoder = nnx.eval_shape(lambda make=make_encoder: make(rngs=nnx.Rngs(0)))
        encoder.eval()
        features = nnx.eval_shape(lambda encoder, image: encoder(image), encoder, image)
        cost, field = count_macs_of(encoder, image), receptive_field(encoder)
        for title, kind, options in ROWS:
            decoder = nnx.eval_shape(
                lambda kind=kind, options=options, widths=encoder.widths: DECODERS[kind](
                    widths, rngs=nnx.Rngs(0), **options
                )
            )
            yield Network(
                name,
                title,
                count_parameters(encoder) + count_parameters(decoder),
                cost + count_macs_of(decoder, features),
                field,
                PARAMETERS.get((name, title)),
            )


def main(argv: Sequence[str]) -> None:
    """Prints the table."""
    options = parse(argv)
    height, width = (-(-size // STRIDE) * STRIDE for size in (options.height, options.width))
    print(f"| encoder | decoder | parameters | paper (M) | GMACs at {height}x{width} | receptive field |")
    print("|---|---|---|---|---|---|")
    for row in networks(height, width):
        paper = "" if row.paper is None else row.paper
        print(
            f"| {row.encoder} | {row.decoder} | {row.parameters:,} | {paper} | {row.macs / 1e9:.3f} | "
            f"{row.receptive_field} |",
            flush=True,
        )
    print("\n" + NOTE)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    summary, _, example = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.models",
        description=summary,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--height", type=int, default=224, help="of the image in pixels")
    parser.add_argument("--width", type=int, default=224, help="of the image in pixels")
    return parser.parse_args(argv)


if __name__ == "__main__":
    cli.run(main)
