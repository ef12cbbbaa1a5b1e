"""What surrounds the conversion: the file that appears whole or not at all, and what it says about itself."""

import contextlib
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

import mdepth_jax
from mdepth_jax import licenses
from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path
from mdepth_jax.licenses import License
from mdepth_jax.models import Header, Weights
from mdepth_jax.training import provenance


@contextlib.contextmanager
def unfinished(output: pathlib.Path) -> Iterator[pathlib.Path]:
    """Provides the path to write a file to, see `atomic_path`.

    Raises:
        UserError: The name does not end in `.tflite`, or the file cannot be written.
    """
    if output.suffix != ".tflite":
        raise UserError(f"--output {output}: the name must end in .tflite")
    with atomic_path(output) as temporary:
        yield temporary


def list_licenses(header: Header) -> list[License]:
    """Lists the terms of the code and of all that a network was trained with."""
    return [licenses.CODE, *licenses.find_licenses(provenance.configs_of(header.lineage))]


def describe(weights: Weights, config: ConfigDict, quantization: str) -> dict[str, Any]:
    """Gives the metadata of a file.

    Args:
        weights: Network with its header.
        config: Of the run, with the size of the file's images.
        quantization: See `quantization.Kind`.
    """
    data, model, header = config.data, weights.config, weights.header
    counts = {"pairs": header.pairs, "depth_maps": header.depth_maps, "step": header.step}
    part = "whole" if data.crop == "none" else "middle of the"
    return {
        "name": f"{model.encoder} + {model.decoder}",
        "output": header.output or "relative depth: larger = farther; no unit, no fixed range, not metres",
        "input": f"RGB, 0 to 255, scaled inside; the {part} picture resized to {data.height}x{data.width} (HxW)",
        "training_data": "rendered scenes" if data.source == "scenes" else pathlib.Path(data.root).name,
        "license": "; ".join(f"{part.name}: {part.terms}" for part in list_licenses(header)),
        "version": mdepth_jax.__version__,
        "weights_sha256": hashlib.sha256(weights.path.read_bytes()).hexdigest(),
        "quantization": quantization,
        "scores": {**header.scores, **{key: count for key, count in counts.items() if count}},
        "model": model.to_dict(),
        # What evaluation and prediction with the file must know.
        "config": {"data": {"log": data.log}, "loss": {"terms": config.loss.terms}},
    }
