"""Inference with `.tflite` files on the CPU."""

import contextlib
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from mdepth_jax.errors import UserError
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite.flatbuffer import read_metadata

INPUT, OUTPUT = "image", "depth"  # names in the signature


def open_interpreter(path: pathlib.Path, threads: int = 1) -> tf.lite.Interpreter:
    """Loads any `.tflite` file, with the XNNPACK delegate where it can be used.

    Args:
        path: Path of the file.
        threads: Number of CPU threads.

    Raises:
        UserError: If there is no such file or it is not a `.tflite` file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; python -m mdepth_jax.convert writes one")
    try:
        return create_interpreter(model_path=str(path), num_threads=threads)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: damaged or not a .tflite file ({reason}); convert the network again") from None


def create_interpreter(**options: Any) -> tf.lite.Interpreter:
    """Creates a `tf.lite.Interpreter` and allocates its tensors.

    Args:
        **options: Arguments of `tf.lite.Interpreter`.
    """
    with ignore_deprecation():
        interpreter = tf.lite.Interpreter(**options)
    interpreter.allocate_tensors()
    return interpreter


@contextlib.contextmanager
def ignore_deprecation() -> Iterator[None]:
    """Ignores the warning of every `tf.lite.Interpreter` that LiteRT, a separate package, replaces it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        yield


def count_partitions(interpreter: tf.lite.Interpreter) -> int:
    """Counts the partitions of the graph that delegates run; 1 is best, as TFLite's own kernels run the rest."""
    return sum(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())


class DepthInterpreter:
    """A depth network in a `.tflite` file of `mdepth_jax.convert`.

    Args:
        path: Path of the file.
        threads: Number of CPU threads.

    Attributes:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        partitions: Number of partitions that delegates run, see `count_partitions`.
        metadata: Metadata of the file, see `flatbuffer.read_metadata`; empty for a file from elsewhere.

    Raises:
        UserError: If there is no such file, it is not a `.tflite` file, or it has another signature.
    """

    def __init__(self, path: pathlib.Path, threads: int = 1):
        self._interpreter = open_interpreter(path, threads)
        names = [(entry["inputs"], entry["outputs"]) for entry in self._interpreter.get_signature_list().values()]
        if names != [([INPUT], [OUTPUT])]:
            raise UserError(
                f"{path}: its signature is not {INPUT} -> {OUTPUT}; give a file of python -m mdepth_jax.convert"
            )
        (self._input,), (self._output,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        _, self.height, self.width, _ = self._input["shape"].tolist()
        self.partitions = count_partitions(self._interpreter)
        self.metadata = read_metadata(path.read_bytes())

    def __call__(
        self, image: UInt8[np.ndarray, "batch height width 3"] | Float32[np.ndarray, "batch height width 3"]
    ) -> Float32[np.ndarray, "batch height width 1"]:
        """Predicts depth, one image after another.

        Args:
            image: RGB images, 0 to 255, at the network's size.

        Returns:
            Relative depth, larger = farther, without a unit.

        Raises:
            ValueError: If the images have another size.
        """
        if image.shape[1:3] != (self.height, self.width):
            raise ValueError(f"the network takes images of {self.height}x{self.width}, not {image.shape[1:3]}")
        return np.concatenate([self._run(row) for row in image[:, np.newaxis]])

    def _run(self, image: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"], quantize(image, self._input))
        self._interpreter.invoke()
        return dequantize(self._interpreter.get_tensor(self._output["index"]), self._output)


def quantize(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Quantizes real values to the type of a tensor: `round(value / scale) + zero_point`, clipped to its range.

    Args:
        values: Real values.
        tensor: Details of the tensor from `tf.lite.Interpreter`.

    Returns:
        Values to store; those of a floating-point tensor unchanged, in float32.
    """
    values = values.astype(np.float32)
    if not np.issubdtype(tensor["dtype"], np.integer):
        return values
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / np.float32(scale)) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def dequantize(stored: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Computes the real values `scale * (stored - zero_point)` of a tensor; the inverse of `quantize`.

    Args:
        stored: Stored values.
        tensor: Details of the tensor from `tf.lite.Interpreter`.
    """
    if not np.issubdtype(tensor["dtype"], np.integer):
        return stored
    scale, zero_point = tensor["quantization"]
    return np.float32(scale) * (stored.astype(np.float32) - zero_point)
