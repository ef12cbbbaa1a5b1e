"""Kinds of post-training quantization, and the noise that it adds in each layer."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import UInt8

from mdepth_jax.errors import UserError
from mdepth_jax.tflite.recorder import Recorder

Quantization = Literal["none", "float16", "dynamic", "int8"]
"""Kind of quantization.

none: float32. float16: weights of large operators in float16. dynamic: int8 weights, activations quantized at run time.
int8: weights and activations in int8, with activation ranges from calibration images.
"""
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
# Small kernels stay in float32: they are 2 % of the file, and the first depthwise ones cause most of float16's error.
FLOAT16_MIN_ELEMENTS = 4096
FLOAT16_MAX = float(np.finfo(np.float16).max)
Images = Iterable[UInt8[np.ndarray, "height width 3"]]


class LayerReport(NamedTuple):
    """Activation range of an operator on some images, and its quantization noise.

    Attributes:
        layer: Name of the layer.
        low: Smallest output in float32.
        high: Largest output in float32.
        noise: Root mean square error of the quantized output, relative to the standard deviation of the float32 output.
        added: Increase of the noise over the largest noise of the operator's inputs.
    """

    layer: str
    low: float
    high: float
    noise: float
    added: float

    @property
    def max_abs(self) -> float:
        """Largest absolute output in float32."""
        return max(-self.low, self.high)


def report_layers(reference: bytes, quantized: bytes, images: Images) -> list[LayerReport]:
    """Compares every operator of a quantized network with the same operator in float32.

    Args:
        reference: Content of the float32 file, converted with `operators_for` the quantization of the other one.
        quantized: Content of the quantized file.
        images: RGB images, 0 to 255, at the network's size.

    Returns:
        Reports of the operators in order of execution.
    """
    expected, actual = Recorder(reference), Recorder(quantized)
    statistics = {name: _ErrorStatistics() for name in expected.operators if name in actual.operators}
    for image in images:
        expected.run(image)
        actual.run(image)
        for name, values in statistics.items():
            values.update(expected[name], actual[name])
    noise = {name: values.noise for name, values in statistics.items()}
    return [
        LayerReport(
            layer=_layer_name(name),
            low=values.low,
            high=values.high,
            noise=noise[name],
            added=noise[name] - max((noise.get(operand, 0.0) for operand in expected.operators[name]), default=0.0),
        )
        for name, values in statistics.items()
    ]


def check_float16_range(layers: Sequence[LayerReport]) -> None:
    """Checks that no activation overflows in float16, the type in which mobile GPUs compute.

    Raises:
        UserError: If one does, naming the layer.
    """
    layer = max(layers, key=lambda layer: layer.max_abs)
    if layer.max_abs > FLOAT16_MAX:
        raise UserError(
            f"layer {layer.layer} reaches {layer.max_abs:.3g}, beyond float16's {FLOAT16_MAX:.0f}; take `quantize=none`"
        )


class _ErrorStatistics:
    """Range of an operator's float32 output, and sums from which its quantization noise follows."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self._sums = np.zeros(4)  # number of values, values, squared values, squared errors

    def update(self, expected: np.ndarray, actual: np.ndarray) -> None:
        self.low, self.high = min(self.low, float(expected.min())), max(self.high, float(expected.max()))
        errors = actual - expected
        self._sums += expected.size, expected.sum(), np.square(expected).sum(), np.square(errors).sum()

    @property
    def noise(self) -> float:
        count, total, squares, errors = self._sums
        variance = squares - total**2 / count
        return float(np.sqrt(errors / variance)) if variance > 0 else 0.0


def _layer_name(tensor: str) -> str:
    """Returns the layer in the name of a tensor, which lists the JAX operations that were fused."""
    parts = [re.sub(r"^(jit\([^)]*\)/)+", "", part) for part in tensor.split(";")]
    layers = [part.rpartition("/")[0] for part in parts if "conv_general_dilated" in part]
    return next((name for name in (*layers, *parts) if "/" in name), parts[-1])
