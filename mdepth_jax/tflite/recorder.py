"""Outputs of all operators of a `.tflite` file for an image."""

import numpy as np
from jaxtyping import UInt8

from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite.interpreter import create_interpreter, dequantize, quantize


class Recorder:
    """Runs a `.tflite` file without delegates and keeps the output of every operator.

    Args:
        content: Content of a file with one input, whose operators write no constants.

    Attributes:
        input: Name of the input tensor.
        operators: Names of an operator's input tensors by the name of its output tensor, in order of execution.
    """

    def __init__(self, content: bytes):
        self._interpreter = create_interpreter(
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
        """Runs the file on an image at its size, RGB, 0 to 255."""
        self._interpreter.set_tensor(self._input["index"], quantize(image[np.newaxis], self._input))
        self._interpreter.invoke()

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns the values of a tensor after the last run, float64; those of an integer tensor dequantized."""
        detail = self._details[name]
        return dequantize(self._interpreter.get_tensor(detail["index"]), detail).astype(np.float64)
