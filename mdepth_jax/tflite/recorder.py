"""What every operation of a `.tflite` file gives on an image."""

import numpy as np
from jaxtyping import UInt8

from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite.interpreter import decode, encode, load


class Recorder:
    """Runs a file without delegates and keeps what every operation gives.

    Args:
        content: Of a file with one input and no constants among the outputs of its operations.

    Attributes:
        input: Name of the input.
        operators: From the name of what an operation gives to the names of what it reads.
    """

    def __init__(self, content: bytes):
        self._interpreter = load(
            model_content=content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        (self._input,) = self._interpreter.get_input_details()
        self.input: str = self._input["name"]
        self._details = {detail["name"]: detail for detail in self._interpreter.get_tensor_details()}
        names = {detail["index"]: name for name, detail in self._details.items()}
        self.operators = {
            names[int(operator["outputs"][0])]: [names[int(index)] for index in operator["inputs"] if index in names]
            for operator in self._interpreter._get_ops_details()
        }

    def run(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Runs the file on an image."""
        self._interpreter.set_tensor(self._input["index"], encode(image[np.newaxis], self._input))
        self._interpreter.invoke()

    def __getitem__(self, name: str) -> np.ndarray:
        """Gives what the last run left under a name; of integers the values that they stand for."""
        detail = self._details[name]
        return decode(self._interpreter.get_tensor(detail["index"]), detail).astype(np.float64)
