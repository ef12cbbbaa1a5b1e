"""Metadata that an exported file holds about itself."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_collections import ConfigDict

import mdepth_jax
from mdepth_jax import licenses
from mdepth_jax.models import Weights
from mdepth_jax.tflite.quantization import Quantization
from mdepth_jax.training import provenance


@dataclass(frozen=True)
class Metadata:
    """Metadata of an exported file.

    Attributes:
        name: Encoder and decoder of the network.
        output: Meaning of the output, in words.
        input: Meaning of the input, in words.
        training_data: Name of the data set that the network was trained on.
        license: Terms of the code and of everything that the network was trained with.
        version: Version of mdepth_jax that exported the file.
        weights_sha256: SHA-256 of the file of weights.
        quantization: Kind of quantization.
        scores: Scores of the run on its test set, with the numbers of pairs and depth maps and the step.
        model: Group `model` of the run's configuration.
        config: Further keys of the configuration, which evaluation and prediction with the file need.
    """

    name: str
    output: str
    input: str
    training_data: str
    license: str
    version: str
    weights_sha256: str
    quantization: Quantization
    scores: Mapping[str, float | int]
    model: Mapping[str, Any]
    config: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Returns the metadata as it is stored in the file."""
        return dataclasses.asdict(self)


def _name_data(data: ConfigDict) -> str:
    return "rendered scenes" if data.source == "scenes" else licenses.name_unknown(data.root)


def describe_file(weights: Weights, config: ConfigDict, quantization: Quantization) -> Metadata:
    """Collects the metadata of a file.

    Args:
        weights: Network with its header.
        config: Configuration of the run, with the size of the file's images.
        quantization: Kind of quantization.
    """
    data, model, header = config.data, weights.config, weights.header
    counts = {"pairs": header.pairs, "depth_maps": header.depth_maps, "step": header.step}
    part = "whole" if data.crop == "none" else "middle of the"
    return Metadata(
        name=f"{model.encoder} + {model.decoder}",
        output=header.output or "relative depth: larger = farther; no unit, no fixed range, not meters",
        input=f"RGB, 0 to 255, scaled inside; the {part} picture resized to {data.height}x{data.width} (HxW)",
        training_data=", ".join(info.name for info in header.run.data) or _name_data(data),
        license="; ".join(f"{part.name}: {part.terms}" for part in provenance.list_licenses(header)),
        version=mdepth_jax.__version__,
        weights_sha256=hashlib.sha256(weights.path.read_bytes()).hexdigest(),
        quantization=quantization,
        scores={**header.values, **{key: count for key, count in counts.items() if count}},
        model=model.to_dict(),
        config={"data": {"log": data.log, "crop": data.crop}, "loss": {"terms": config.loss.terms}},
    )
