"""Export of a run: convert, verify, time and describe a network in one step."""

import contextlib
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ml_collections import ConfigDict

from mdepth_jax.data.images import encode
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.types import Source
from mdepth_jax.errors import UserError
from mdepth_jax.export.calibration import ImageSet, open_images
from mdepth_jax.export.metadata import describe_file
from mdepth_jax.export.model_card import ModelCard
from mdepth_jax.export.verification import Verification, compare_layers, verify
from mdepth_jax.files import atomic_path, write_csv
from mdepth_jax.models import load_weights
from mdepth_jax.tflite.conversion import check_size, convert
from mdepth_jax.tflite.flatbuffer import add_metadata
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.tflite.quantization import LayerReport, Quantization, check_float16_range
from mdepth_jax.tflite.timing import FileTiming, benchmark_files, describe_setting
from mdepth_jax.training.run_directory import config_of_weights
from mdepth_jax.training.summary import describe_network

CALIBRATION_IMAGES, COMPARED_IMAGES, TIMED_ROUNDS = 100, 32, 3


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        quantize: Kind of quantization.
        height: Height of the image, a multiple of 32; 0 for that of the run.
        width: Width of the image, a multiple of 32; 0 for that of the run.
        calibration: Folder of images to calibrate with and to compare on; None for the run's own data.
        integer_io: Whether input and output are uint8; with int8 alone.
        pairs: Data set with ordinal pairs to compare on, see `open_source`; None for none.
        images: Folder of the paths in a CSV of pairs; None for the folder of the CSV.
        layers: CSV file to write the reports of all layers to, with float16 and int8; None for none.

    Raises:
        UserError: If `integer_io` or `layers` is set with another kind of quantization.
    """

    quantize: Quantization = "none"
    height: int = 0
    width: int = 0
    calibration: pathlib.Path | None = None
    integer_io: bool = False
    pairs: pathlib.Path | None = None
    images: pathlib.Path | None = None
    layers: pathlib.Path | None = None

    def __post_init__(self) -> None:
        if self.integer_io and self.quantize != "int8":
            raise UserError("`integer_io` goes with `quantize=int8`")
        if self.layers and self.quantize not in ("float16", "int8"):
            raise UserError("`layers` goes with `quantize=float16` or `quantize=int8`")


@dataclass(frozen=True)
class ExportPaths:
    """Paths of an exported network.

    Attributes:
        model: Path of the `.tflite` file, `m.tflite`.
        card: Path of its model card, `m.md`.
        golden_image: Path of an input, `m.golden.png`, with which an app can check itself.
        golden_depth: Path of its output, `m.golden.f32`: little-endian float32, row after row.
    """

    model: pathlib.Path
    card: pathlib.Path
    golden_image: pathlib.Path
    golden_depth: pathlib.Path

    @classmethod
    def for_model(cls, path: pathlib.Path) -> "ExportPaths":
        """Returns the paths that belong to a `.tflite` file."""
        return cls(path, *(path.with_suffix(suffix) for suffix in (".md", ".golden.png", ".golden.f32")))


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    Attributes:
        paths: Files that were written.
        verification: Agreement of the file with its network.
        layers: Reports of the file's layers.
        timing: Times of the file on this machine.
    """

    paths: ExportPaths
    verification: Verification
    layers: Sequence[LayerReport]
    timing: FileTiming


def export_run(model: pathlib.Path, output: pathlib.Path, options: ExportOptions | None = None) -> ExportResult:
    """Exports a network to a `.tflite` file that is verified against it, with a golden pair and a model card.

    The files appear complete, and only if the verification succeeds.

    Args:
        model: Run directory, `.safetensors` file or name, see `models.weights.find_weights`.
        output: Path of the `.tflite` file.
        options: Options; None for float32 at the size of the run's images.

    Raises:
        UserError: If the weights, the data or the output cannot be used, or the file is not accurate enough.
    """
    options = options or ExportOptions()
    weights = load_weights(model)
    trained = config_of_weights(weights)
    config = trained.copy_and_resolve_references()
    config.data.height, config.data.width = options.height or config.data.height, options.width or config.data.width
    size = config.data.height, config.data.width
    check_size(*size)
    pairs = _open_pairs(options)
    if output.suffix != ".tflite":
        raise UserError(f"`output` is {output}; the name must end in .tflite")
    paths = ExportPaths.for_model(output)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(paths.model))
        images = _open_images(config, options)
        content = convert(weights.model, *size, options.quantize, images.images, integer_io=options.integer_io)
        metadata = describe_file(weights, config, options.quantize)
        temporary.write_bytes(add_metadata(content, metadata.to_dict()))
        compared = images.thin_out(COMPARED_IMAGES)
        layers = compare_layers(weights.model, content, options.quantize, compared.images)
        if options.layers:
            write_csv(options.layers, (layer._asdict() for layer in layers))
        if options.quantize == "float16":
            check_float16_range(layers)
        file = DepthInterpreter(temporary)
        verification = verify(
            weights.model, file, compared, quantize=options.quantize, layers=layers, config=config, pairs=pairs
        )
        [timing] = benchmark_files([temporary], threads=1, rounds=TIMED_ROUNDS)
        timing = replace(timing, model=output.name)
        card = ModelCard(
            metadata=metadata,
            config=trained,
            header=weights.header,
            network=describe_network(weights.model, *size),
            verification=verification,
            timing=timing,
            setting=describe_setting(TIMED_ROUNDS),
        )
        contents = {
            paths.card: card.to_markdown().encode(),
            paths.golden_image: encode(compared.images[0]),
            paths.golden_depth: file(compared.images[0][np.newaxis]).astype("<f4").tobytes(),
        }
        for path, encoded in contents.items():
            stack.enter_context(atomic_path(path)).write_bytes(encoded)
    return ExportResult(paths, verification, layers, timing)


def _open_pairs(options: ExportOptions) -> Source | None:
    if options.pairs is None:
        return None
    source = open_source(options.pairs, "test", root=options.images)
    if not source.max_pairs:
        raise UserError(f"`pairs` is {options.pairs}, which holds no ordinal pairs to compare on")
    return source


def _open_images(config: ConfigDict, options: ExportOptions) -> ImageSet:
    is_int8 = options.quantize == "int8"
    count = CALIBRATION_IMAGES if is_int8 else COMPARED_IMAGES
    return open_images(config, options.calibration, count, allow_rendered=not is_int8)
