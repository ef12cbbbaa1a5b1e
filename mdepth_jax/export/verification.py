"""Proof that a `.tflite` file computes what the network of JAX does, on images."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, UInt8
from scipy import stats

from mdepth_jax.data.images import encode
from mdepth_jax.errors import UserError
from mdepth_jax.files import write_bytes
from mdepth_jax.models import DepthNet
from mdepth_jax.tflite.quantization import Kind

# Largest error as a share of the range of the depth; below int8's errors only the order of depths can be held.
LARGEST_ERROR: dict[Kind, float] = {"none": 1e-4, "float16": 1e-3}
LOWEST_SPEARMAN = 0.99
LARGEST_WHDR_LOSS = 0.005

Depths = Float32[np.ndarray, "batch height width 1"]


class Agreement(NamedTuple):
    """How close a file comes to its network.

    Attributes:
        error: Largest difference of any pixel, as a share of the range of the network's depth over all images.
        spearman: Rank correlation of the depths of an image, mean over the images.
    """

    error: float
    spearman: float


class Proof(NamedTuple):
    """What the verification of a file has found.

    Attributes:
        images: Number of images that file and network were compared on.
        origin: Where those come from.
        agreement: How close the file comes to its network.
        pairs: Number of pairs of WHDR; 0 if it was not measured.
        network_whdr: WHDR of the network on them.
        file_whdr: WHDR of the file on them.
        extreme: The largest absolute value that any layer gives for the images, or for some of them.
    """

    images: int
    origin: str
    agreement: Agreement
    pairs: int = 0
    network_whdr: float = 0.0
    file_whdr: float = 0.0
    extreme: float = 0.0

    def lines(self) -> list[str]:
        """Tells it in words."""
        told = [
            f"{self.images} images ({self.origin}): largest error {self.agreement.error:.1e} of the range of the depth,"
            f" rank correlation {self.agreement.spearman:.5f}"
        ]
        if self.pairs:
            whdr = f"{self.network_whdr:.4f} of the network, {self.file_whdr:.4f} of the file"
            told.append(f"WHDR on {self.pairs} pairs: {whdr}")
        return told


def predict(model: DepthNet, images: Sequence[UInt8[np.ndarray, "height width 3"]]) -> Depths:
    """The depth that a network of JAX gives for images of one size, one by one as in a file."""
    run = nnx.jit(lambda model, image: model(image).depth)
    model = model.without_heads()
    return np.concatenate([np.asarray(run(model, jnp.asarray(image[np.newaxis]))) for image in images])


def compare(reference: Depths, depth: Depths) -> Agreement:
    """Compares a file's predictions with those of its network.

    Raises:
        UserError: The network predicts the same depth everywhere, or one that is not finite.
    """
    extent = float(reference.max() - reference.min())
    if not 0 < extent < np.inf:
        raise UserError("the network gives the same depth everywhere, or one that is not finite; train it first")
    ranks = [[stats.rankdata(image).ravel() for image in images] for images in (reference, depth)]
    return Agreement(
        float(np.abs(depth - reference).max()) / extent,
        float(np.mean([_correlation(*pair) for pair in zip(*ranks, strict=True)])),
    )


def describe_gate(kind: Kind) -> str:
    """Tells what `check` demands."""
    limit = LARGEST_ERROR.get(kind)
    error = [] if limit is None else [f"largest error at most {limit:g} of the range of the depth"]
    return ", ".join([*error, f"rank correlation at least {LOWEST_SPEARMAN:g}"])


def check(kind: Kind, agreement: Agreement, worst: Sequence[str] = ()) -> None:
    """Raises UserError if a file does not come close enough to its network.

    Args:
        kind: Of the file.
        agreement: Of both.
        worst: Layers that lose most, for the message.
    """
    limit = LARGEST_ERROR.get(kind)
    if limit is not None and not agreement.error <= limit:
        way_out = {
            "none": "install the versions of jax and tensorflow that pyproject.toml names",
            "float16": "convert for the size of the training's images, or take --quantize none",
        }[kind]
        raise UserError(
            f"the file differs from the network by {agreement.error:.2e} of the depth's range, more than {limit:g};"
            f" {way_out}"
        )
    if not agreement.spearman >= LOWEST_SPEARMAN:
        losses = f", lost most in {', '.join(worst)}" if worst else ""
        raise UserError(
            f"the file orders depths otherwise than the network: rank correlation {agreement.spearman:.4f}, less than"
            f" {LOWEST_SPEARMAN:g}{losses}; train the network if its weights are random, convert for the size of the"
            " training's images, calibrate with images like those, or take --quantize float16"
        )


def check_whdr(before: float, after: float) -> None:
    """Raises UserError if a file orders more pairs wrongly than its network, by more than half a point of WHDR."""
    if not after - before <= LARGEST_WHDR_LOSS:
        raise UserError(
            f"the file's WHDR is {after:.4f}, the network's {before:.4f}; calibrate with more images like those of"
            " training, or take --quantize float16"
        )


def write_golden(
    file: pathlib.Path, image: UInt8[np.ndarray, "height width 3"], depth: Float32[np.ndarray, "1 height width 1"]
) -> list[pathlib.Path]:
    """Writes an input and what the file gives for it, so that an app can check itself.

    Args:
        file: `m.tflite` gets `m.golden.png`, and `m.golden.f32`: little-endian float32, row after row.
        image: The input.
        depth: The output.

    Returns:
        The two files.
    """
    picture, values = (file.with_suffix(f".golden.{kind}") for kind in ("png", "f32"))
    write_bytes(picture, encode(image))
    write_bytes(values, depth.astype("<f4").tobytes())
    return [picture, values]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two rows of ranks; 0 where one of them is all ties."""
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / norm) if norm else 0.0
