"""The kinds of numbers in a file, the ranges that its layers take, and what each of them loses by rounding."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from mdepth_jax.errors import UserError
from mdepth_jax.tflite.recorder import Recorder

# float32 throughout; large weights in float16; weights in int8, activations as they come; everything in int8.
Kind = Literal["none", "float16", "dynamic", "int8"]
KINDS: tuple[Kind, ...] = ("none", "float16", "dynamic", "int8")
# Small kernels stay in float32: they take 2 % of the file, and the first depthwise ones make most of float16's error.
FLOAT16_ELEMENTS = 4096
FLOAT16_MAX = float(np.finfo(np.float16).max)
Images = Iterable[UInt8[np.ndarray, "height width 3"]]


class LayerReport(NamedTuple):
    """What an operation gives on some images, and what quantisation makes of it.

    Attributes:
        layer: Its name.
        low: The smallest value in float32.
        high: The largest.
        noise: Root mean square error of the quantised network, as a share of the deviation of the values.
        added: How much larger that is than the noise of what the operation reads.
    """

    layer: str
    low: float
    high: float
    noise: float
    added: float

    @property
    def extreme(self) -> float:
        """The largest absolute value in float32."""
        return max(-self.low, self.high)


def report_layers(reference: bytes, content: bytes, images: Images) -> list[LayerReport]:
    """Compares every operation of a quantised network with the same one in float32.

    Args:
        reference: Of the file in float32, made `comparable` by `conversion.convert`.
        content: Of the quantised one.
        images: Of the network's size.

    Returns:
        The operations in order.
    """
    plain, quantized = Recorder(reference), Recorder(content)
    sums = {name: _Sums() for name in plain.operators if name in quantized.operators}
    for image in images:
        plain.run(image)
        quantized.run(image)
        for name, total in sums.items():
            total.add(plain[name], quantized[name])
    noise = {name: total.noise for name, total in sums.items()}
    return [
        LayerReport(
            _readable(name), total.low, total.high, noise[name],
            noise[name] - max((noise.get(read, 0.0) for read in plain.operators[name]), default=0.0),
        )
        for name, total in sums.items()
    ]  # fmt: skip


def check_float16_range(layers: Sequence[LayerReport]) -> None:
    """Raises UserError if a layer's values overflow in float16, in which graphics processors compute."""
    layer = max(layers, key=lambda layer: layer.extreme)
    if layer.extreme > FLOAT16_MAX:
        raise UserError(
            f"layer {layer.layer} reaches {layer.extreme:.3g}, beyond float16's {FLOAT16_MAX:.0f}; take --quantize none"
        )


class _Sums:
    """Of the values of one operation and of their errors."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self._totals = np.zeros(4)  # number, values, their squares, squares of the errors

    def add(self, values: np.ndarray, others: np.ndarray) -> None:
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        errors = others - values
        self._totals += values.size, values.sum(), np.square(values).sum(), np.square(errors).sum()

    @property
    def noise(self) -> float:
        count, total, squares, errors = self._totals
        variance = squares - total**2 / count
        return float(np.sqrt(errors / variance)) if variance > 0 else 0.0


def _readable(name: str) -> str:
    """The layer in the name of a tensor, which lists the operations of JAX that were fused."""
    parts = [re.sub(r"^(jit\([^)]*\)/)+", "", part) for part in name.split(";")]
    layers = [part.rpartition("/")[0] for part in parts if "conv_general_dilated" in part]
    return next((name for name in (*layers, *parts) if "/" in name), parts[-1])
