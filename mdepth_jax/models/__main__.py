"""Prints size, cost and receptive field of every encoder with every decoder, next to the paper's counts.

Example:
    python -m mdepth_jax.models --height 224 --width 224
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mdepth_jax import cli
from mdepth_jax.errors import UserError
from mdepth_jax.models.complexity import count_macs_of, count_parameters, receptive_field
from mdepth_jax.models.decoders import DECODERS
from mdepth_jax.models.depth_net import STRIDE
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.paper.figures import PARAMETERS


@dataclass(frozen=True)
class Decoder:
    """A column of the paper's Tables 1 and 2.

    Attributes:
        title: Name in the table.
        kind: Name in `DECODERS`.
        options: Options of its constructor.
    """

    title: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict)


DECODER_VARIANTS = (
    Decoder("nnconv5", "nnconv5"),
    Decoder("fbnet", "fbnet", {"last_layer": "block"}),
    Decoder("fbnet x112", "fbnet", {"last_layer": "upsample"}),
    Decoder("redweb", "redweb"),
)
STRIDES = (2, 4, 8, 16, 32, 32)
NOTE = """Without intermediate heads; fbnet x112 is last_layer="upsample", fbnet "block". The counts of the paper for
ghostnet with nnconv5 and for mixnet_m with fbnet are not met by the rules that meet all others. The receptive field, in
pixels, is that of the encoder's last feature, without squeeze-excite layers."""


@dataclass(frozen=True)
class Flags:
    """Values of the command line.

    Attributes:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if getattr(self, name) <= 0:
                raise UserError(f"`{name}` is {getattr(self, name)}; it must be positive")


@dataclass(frozen=True)
class Network:
    """A row of the table.

    Attributes:
        encoder: Name of the encoder.
        decoder: Title of the decoder.
        parameters: Number of trainable scalars.
        macs: Multiply-adds for one image.
        receptive_field: Receptive field of the encoder's last feature in pixels, without squeeze-excite layers.
        paper: Millions of parameters in the paper; None where it does not say.
    """

    encoder: str
    decoder: str
    parameters: int
    macs: int
    receptive_field: int
    paper: float | None


def networks(height: int, width: int) -> Iterator[Network]:
    """Yields the rows of the table, without intermediate heads.

    Args:
        height: Height of the image in pixels; a multiple of 32.
        width: Width of the image in pixels; a multiple of 32.
    """
    image = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    for name, make_encoder in ENCODERS.items():
        encoder: Any = nnx.eval_shape(lambda make=make_encoder: make(rngs=nnx.Rngs(0)))
        encoder.eval()
        features = tuple(
            jax.ShapeDtypeStruct((1, height // stride, width // stride, channels), jnp.float32)
            for stride, channels in zip(STRIDES, encoder.widths, strict=True)
        )
        parameters, macs, pixels = count_parameters(encoder), count_macs_of(encoder, image), receptive_field(encoder)
        for variant in DECODER_VARIANTS:
            decoder = nnx.eval_shape(
                lambda variant=variant, widths=encoder.widths: DECODERS[variant.kind](
                    widths, rngs=nnx.Rngs(0), **variant.options
                )
            )
            yield Network(
                encoder=name,
                decoder=variant.title,
                parameters=parameters + count_parameters(decoder),
                macs=macs + count_macs_of(decoder, features),
                receptive_field=pixels,
                paper=PARAMETERS.get((name, variant.title)),
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table."""
    flags = parse(argv)
    height, width = (-(-size // STRIDE) * STRIDE for size in (flags.height, flags.width))
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
    return 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.models", __doc__)
    parser.add_argument("--height", type=int, default=224, help="height of the image in pixels")
    parser.add_argument("--width", type=int, default=224, help="width of the image in pixels")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


if __name__ == "__main__":
    cli.run(main)
