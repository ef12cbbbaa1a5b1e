"""Verification of a `.tflite` file against its network: layer by layer, on images and on pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, UInt8
from ml_collections import ConfigDict
from scipy import stats

from mdepth_jax.data.types import Source
from mdepth_jax.errors import UserError
from mdepth_jax.export.calibration import Images, ImageSet
from mdepth_jax.inference.scoring import evaluate_network
from mdepth_jax.models import DepthNet
from mdepth_jax.tflite import quantization
from mdepth_jax.tflite.conversion import convert
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.tflite.quantization import LayerReport, Quantization

# Largest error as a share of the range of the depth. Errors of int8 are larger: there only the order of depths is held.
MAX_ERROR: dict[Quantization, float] = {"none": 1e-4, "float16": 1e-3}
MIN_SPEARMAN = 0.99
MAX_WHDR_LOSS = 0.005
RANGE_IMAGES, NAMED_LAYERS = 4, 5

Depths = Float32[np.ndarray, "batch height width 1"]


@dataclass(frozen=True)
class Agreement:
    """Agreement of a file's predictions with those of its network.

    Attributes:
        error: Largest difference of any pixel, as a share of the range of the network's depth over all images.
        spearman: Rank correlation of the depths of an image, mean over the images.
    """

    error: float
    spearman: float


@dataclass(frozen=True)
class Verification:
    """Result of a successful verification.

    Attributes:
        images: Number of images on which file and network were compared.
        origin: Origin of the images, in words.
        agreement: Agreement of file and network on them.
        max_activation: Largest absolute output of any layer on the images, or on some of them.
        pairs: Number of pairs on which WHDR was computed; 0 for none.
        network_whdr: WHDR of the network on the pairs.
        file_whdr: WHDR of the file on the pairs.
        network_interval: Half of its 95 % interval for the network; None if unknown.
        file_interval: Half of it for the file.
    """

    images: int
    origin: str
    agreement: Agreement
    max_activation: float
    pairs: int = 0
    network_whdr: float = 0.0
    file_whdr: float = 0.0
    network_interval: float | None = None
    file_interval: float | None = None

    def describe(self) -> list[str]:
        """Describes the verification in words, in one or two lines."""
        lines = [
            f"{self.images} images ({self.origin}): largest error {self.agreement.error:.1e} of the range of the depth,"
            f" rank correlation {self.agreement.spearman:.5f}"
        ]
        if self.pairs:
            whdr = f"{self.network_whdr:.4f} of the network, {self.file_whdr:.4f} of the file"
            lines.append(f"WHDR on {self.pairs} pairs: {whdr}")
        return lines


def verify(
    model: DepthNet,
    file: DepthInterpreter,
    images: ImageSet,
    *,
    quantize: Quantization,
    layers: Sequence[LayerReport],
    config: ConfigDict,
    pairs: Source | None = None,
) -> Verification:
    """Compares a file with its network, on images and on pairs.

    Args:
        model: Network.
        file: Exported file.
        images: Images at the file's size.
        quantize: Kind of quantization of the file.
        layers: Reports of `compare_layers`; an error of int8 names the worst layers.
        config: Configuration of the run, with the size of the file's images.
        pairs: Data set with ordinal pairs, on which both are evaluated; None for none.

    Raises:
        UserError: If the file is not accurate enough.
    """
    agreement = compare(predict(model, images.images), file(np.stack(images.images)))
    worst = [layer.layer for layer in find_worst_layers(layers)] if quantize == "int8" else []
    check_agreement(quantize, agreement, worst)
    largest = max(layer.max_abs for layer in layers)
    result = Verification(len(images.images), images.origin, agreement, max_activation=largest)
    if pairs is None:
        return result
    config = config.copy_and_resolve_references()
    config.data.crop = "none"
    expected, actual = (evaluate_network(network, pairs, config, batch_size=8) for network in (model, file))
    check_whdr(expected.whdr, actual.whdr)
    return replace(
        result,
        pairs=expected.total,
        network_whdr=expected.whdr,
        file_whdr=actual.whdr,
        network_interval=expected.interval,
        file_interval=actual.interval,
    )


def compare_layers(model: DepthNet, content: bytes, quantize: Quantization, images: Images) -> list[LayerReport]:
    """Reports the layers of a file: noise and ranges for float16 and int8, ranges on a few images for other kinds.

    Args:
        model: Network.
        content: Content of the file.
        quantize: Kind of quantization of the file.
        images: RGB images at the file's size.
    """
    if quantize not in ("float16", "int8"):
        return quantization.report_layers(content, content, images[:RANGE_IMAGES])
    reference = convert(model, *images[0].shape[:2], operators_for=quantize)
    return quantization.report_layers(reference, content, images)


def find_worst_layers(layers: Sequence[LayerReport]) -> list[LayerReport]:
    """Finds the few layers that add most quantization noise, the worst one first."""
    return sorted(layers, key=lambda layer: -layer.added)[:NAMED_LAYERS]


def predict(model: DepthNet, images: Sequence[UInt8[np.ndarray, "height width 3"]]) -> Depths:
    """Predicts the depth of images of one size with a network, one image after another as in a file."""
    run = nnx.jit(lambda model, image: model(image).depth)
    model = model.without_heads()
    return np.concatenate([np.asarray(run(model, jnp.asarray(image[np.newaxis]))) for image in images])


def compare(expected: Depths, actual: Depths) -> Agreement:
    """Computes the agreement of a file's predictions with those of its network.

    Args:
        expected: Predictions of the network.
        actual: Predictions of the file.

    Raises:
        UserError: If the network predicts the same depth everywhere, or values that are not finite.
    """
    extent = float(expected.max() - expected.min())
    if not 0 < extent < np.inf:
        raise UserError("the network predicts the same depth everywhere, or values that are not finite; train it first")
    ranks = [[stats.rankdata(image).ravel() for image in images] for images in (expected, actual)]
    return Agreement(
        error=float(np.abs(actual - expected).max()) / extent,
        spearman=float(np.mean([_correlation(*pair) for pair in zip(*ranks, strict=True)])),
    )


def describe_limits(quantize: Quantization) -> str:
    """Describes the limits of `check_agreement` in words."""
    limit = MAX_ERROR.get(quantize)
    error = [] if limit is None else [f"largest error at most {limit:g} of the range of the depth"]
    return ", ".join([*error, f"rank correlation at least {MIN_SPEARMAN:g}"])


def check_agreement(quantize: Quantization, agreement: Agreement, worst: Sequence[str] = ()) -> None:
    """Checks that a file is accurate enough.

    Args:
        quantize: Kind of quantization of the file.
        agreement: Agreement of the file with its network.
        worst: Names of the layers that add most noise, for the message.

    Raises:
        UserError: If it is not.
    """
    limit = MAX_ERROR.get(quantize)
    if limit is not None and not agreement.error <= limit:
        way_out = {
            "none": "install the versions of jax and tensorflow that pyproject.toml names",
            "float16": "convert for the size of the training's images, or take `quantize=none`",
        }[quantize]
        raise UserError(
            f"the file differs from the network by {agreement.error:.2e} of the depth's range, more than {limit:g};"
            f" {way_out}"
        )
    if not agreement.spearman >= MIN_SPEARMAN:
        noise = f", most noise is added in {', '.join(worst)}" if worst else ""
        raise UserError(
            f"the file orders depths otherwise than the network: rank correlation {agreement.spearman:.4f}, less than"
            f" {MIN_SPEARMAN:g}{noise}; train the network if its weights are random, convert for the size of the"
            " training's images, calibrate with images like those, or take `quantize=float16`"
        )


def check_whdr(expected: float, actual: float) -> None:
    """Checks that the WHDR of a file is at most half a point above that of its network.

    Raises:
        UserError: If it is not.
    """
    if not actual - expected <= MAX_WHDR_LOSS:
        raise UserError(
            f"the file's WHDR is {actual:.4f}, the network's {expected:.4f}; calibrate with more images like those of"
            " training, or take `quantize=float16`"
        )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Computes the correlation of two rows of ranks; 0 where one of them is all ties."""
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / norm) if norm else 0.0
