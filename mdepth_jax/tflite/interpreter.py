"""Runs `.tflite` files on the CPU."""

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
        path: The file.
        threads: Of the CPU.

    Raises:
        UserError: There is no such file, or it is none of TFLite.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; python -m mdepth_jax.convert makes one")
    try:
        return load(model_path=str(path), num_threads=threads)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: damaged or not a .tflite file ({reason}); convert the network again") from None


def load(**options: Any) -> tf.lite.Interpreter:
    """Makes a `tf.lite.Interpreter`, ready to run."""
    with unannounced():
        interpreter = tf.lite.Interpreter(**options)
    interpreter.allocate_tensors()
    return interpreter


@contextlib.contextmanager
def unannounced() -> Iterator[None]:
    """Hides TensorFlow's announcement, made by every interpreter, of LiteRT, a package of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        yield


def count_partitions(interpreter: tf.lite.Interpreter) -> int:
    """Number of parts that delegates run; what lies between two parts runs by itself. 1 is best."""
    return sum(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())


class DepthInterpreter:
    """A depth network in a `.tflite` file of ours.

    Args:
        path: The file.
        threads: Of the CPU.

    Attributes:
        height: Of the image in pixels.
        width: Of the image in pixels.
        partitions: See `count_partitions`.
        metadata: See `flatbuffer.read_metadata`; empty for a file of others.

    Raises:
        UserError: There is no such file, it is none of TFLite, or its signature is another one.
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
            image: RGB, 0 to 255, of the size of the network.

        Returns:
            Relative depth, larger is farther, no unit.

        Raises:
            ValueError: Another size.
        """
        if image.shape[1:3] != (self.height, self.width):
            raise ValueError(f"the network takes images of {self.height}x{self.width}, not {image.shape[1:3]}")
        return np.concatenate([self._run(row) for row in image[:, np.newaxis]])

    def _run(self, row: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"], encode(row, self._input))
        self._interpreter.invoke()
        return decode(self._interpreter.get_tensor(self._output["index"]), self._output)


def encode(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """What the tensor stores for `values`: integers stand for `scale * (integer - zero)`."""
    values = values.astype(np.float32)
    if not np.issubdtype(tensor["dtype"], np.integer):
        return values
    scale, zero = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / np.float32(scale)) + zero, limits.min, limits.max).astype(tensor["dtype"])


def decode(stored: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The values that the tensor stores, see `encode`."""
    if not np.issubdtype(tensor["dtype"], np.integer):
        return stored
    scale, zero = tensor["quantization"]
    return np.float32(scale) * (stored.astype(np.float32) - zero)
