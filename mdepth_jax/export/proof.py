"""The proof that an exported file is as good as its network: layer by layer, on images and on pairs."""

from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from mdepth_jax.data.types import Source
from mdepth_jax.export import verification
from mdepth_jax.export.calibration import Images
from mdepth_jax.export.verification import Proof
from mdepth_jax.inference.scoring import evaluate_network
from mdepth_jax.models import DepthNet
from mdepth_jax.tflite import quantization
from mdepth_jax.tflite.conversion import convert
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.tflite.quantization import Kind, LayerReport

RANGE_IMAGES, NAMED_LAYERS = 4, 5


def examine_layers(model: DepthNet, content: bytes, kind: Kind, images: Images) -> list[LayerReport]:
    """Reports the layers of a file: against those of a float32 file where the kind is float16 or int8.

    Args:
        model: The network.
        content: Of the file.
        kind: Of the file.
        images: Of the file's size; of other kinds the ranges of the first few will do.
    """
    if kind not in ("float16", "int8"):
        return quantization.report_layers(content, content, images[:RANGE_IMAGES])
    return quantization.report_layers(convert(model, *images[0].shape[:2], comparable=kind), content, images)


def worst(layers: Sequence[LayerReport]) -> list[LayerReport]:
    """The few layers that lose most."""
    return sorted(layers, key=lambda layer: -layer.added)[:NAMED_LAYERS]


def prove(
    kind: Kind,
    model: DepthNet,
    file: DepthInterpreter,
    images: Images,
    origin: str,
    layers: Sequence[LayerReport],
    pairs: Source | None,
    config: ConfigDict,
) -> Proof:
    """Compares a file with its network, on images and on pairs.

    Args:
        kind: Of the file.
        model: The network.
        file: What it became.
        images: Of the file's size.
        origin: Where they come from.
        layers: Of `examine_layers`; an error names the worst.
        pairs: Images with pairs, whole; None for none.
        config: Of the run, with the size of the file's images.

    Raises:
        UserError: The file is too far off.
    """
    agreement = verification.compare(verification.predict(model, images), file(np.stack(images)))
    verification.check(kind, agreement, [layer.layer for layer in worst(layers)] if kind == "int8" else ())
    proof = Proof(len(images), origin, agreement, extreme=max(layer.extreme for layer in layers))
    if pairs is None:
        return proof
    config = config.copy_and_resolve_references()
    config.data.crop = "none"
    before, after = (evaluate_network(network, pairs, config, batch_size=8) for network in (model, file))
    verification.check_whdr(before.whdr, after.whdr)
    return proof._replace(pairs=before.total, network_whdr=before.whdr, file_whdr=after.whdr)
