"""Runs `.tflite` files on the CPU."""

import json
import pathlib
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from tensorflow.lite.python import schema_py_generated as schema

from mdepth_jax.data.reader_tensorflow import tf
from mdepth_jax.errors import UserError

METADATA = "mdepth_jax"  # name of our entry in the file's own table of metadata
INPUT, OUTPUT = "image", "depth"  # names in the signature


def open_interpreter(path: pathlib.Path, threads: int = 1, **options: Any) -> tf.lite.Interpreter:
    """Loads any `.tflite` file, with the XNNPACK delegate where it can be used.

    Args:
        path: The file.
        threads: Of the CPU.
        options: Of `tf.lite.Interpreter`.

    Raises:
        UserError: There is no such file, or it is none of TFLite.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; python -m mdepth_jax.convert makes one")
    with warnings.catch_warnings():
        # TensorFlow announces LiteRT, a package of its own, each time.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        try:
            interpreter = tf.lite.Interpreter(str(path), num_threads=threads, **options)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"{path}: damaged or not a .tflite file ({reason}); convert the network again") from None
    return interpreter


def read_metadata(path: pathlib.Path) -> dict[str, Any]:
    """Gives what `python -m mdepth_jax.convert` wrote about a `.tflite` file into it; empty for a file of others."""
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA.encode():
            return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return {}


class DepthInterpreter:
    """A depth network in a `.tflite` file of ours.

    Args:
        path: The file.
        threads: Of the CPU.

    Attributes:
        height: Of the image in pixels.
        width: Of the image in pixels.
        metadata: See `read_metadata`.

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
        self.metadata = read_metadata(path)

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
        self._interpreter.set_tensor(self._input["index"], _encode(row, self._input))
        self._interpreter.invoke()
        return _decode(self._interpreter.get_tensor(self._output["index"]), self._output)


def _encode(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """What the tensor stores for `values`: integers stand for `scale * (integer - zero)`."""
    values = values.astype(np.float32)
    if not np.issubdtype(tensor["dtype"], np.integer):
        return values
    scale, zero = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / np.float32(scale)) + zero, limits.min, limits.max).astype(tensor["dtype"])


def _decode(stored: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    if not np.issubdtype(tensor["dtype"], np.integer):
        return stored
    scale, zero = tensor["quantization"]
    return np.float32(scale) * (stored.astype(np.float32) - zero)
