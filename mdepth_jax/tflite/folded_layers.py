"""The layers that an exported network is made of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import Padding, pad_widths, phase_folds
from mdepth_jax.models.layers import Activation, Conv, DepthwiseConv


class Affine(NamedTuple):
    """A convolution's arrays.

    Attributes:
        kernel: `[height, width, in, out]`; `in` is 1 of a depthwise one.
        bias: `[out]`.
    """

    kernel: np.ndarray
    bias: np.ndarray


class FoldedConv(nnx.Module):
    """Convolution, bias, activation.

    Args:
        arrays: Kernel and bias.
        source: The layer that it stands for, which gives stride and padding.
        activation: `None` for a linear output.
        name: Of the layer in the network; operations in the file are named after it.
    """

    def __init__(
        self, arrays: Affine, source: "Conv | DepthwiseConv | FoldedConv", activation: Activation | None, name: str
    ):
        self.depthwise = isinstance(source, DepthwiseConv)
        self.stride: int = source.stride
        self.padding: Padding = source.padding
        self.param_dtype = jnp.float32
        self.activation, self.name = activation, name
        self.set(arrays)

    @property
    def arrays(self) -> Affine:
        """Kernel and bias."""
        return Affine(np.asarray(self.kernel[...], np.float64), np.asarray(self.bias[...], np.float64))

    def set(self, arrays: Affine) -> None:
        """Gives the layer another kernel and bias."""
        self.kernel, self.bias = (nnx.Param(jnp.asarray(values, jnp.float32)) for values in arrays)
        self.out_channels = len(arrays.bias)
        self.in_channels = self.out_channels if self.depthwise else arrays.kernel.shape[2]

    def __call__(self, x: Float[Array, "batch height width in"]) -> Float[Array, "batch out_height out_width out"]:
        """Applies the layer."""
        with jax.named_scope(self.name):
            pads = [pad_widths(size, self.kernel.shape[0], self.stride, self.padding) for size in x.shape[1:3]]
            y = lax.conv_general_dilated(
                x,
                self.kernel[...],
                (self.stride, self.stride),
                pads,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=x.shape[-1] if self.depthwise else 1,
            )
            y = y + self.bias[...][None, None, None]
            return y if self.activation is None else self.activation(y)


class Activate(nnx.Module):
    """What is left of a layer whose convolution has moved.

    Args:
        activation: `None` if nothing is.
    """

    def __init__(self, activation: Activation | None = None):
        self.activation = activation

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Applies it."""
        return x if self.activation is None else self.activation(x)


class UpsamplingConv(nnx.Module):
    """Nearest x2 up-sampling, depthwise convolution, bias, activation, and a 1x1 convolution if `reader` is given one.

    A row of the result lies in memory as the channels of its even and odd columns do, and two rows as one of twice the
    width: reshaping interleaves them. See `split_rows`.

    Args:
        arrays: Kernel and bias.
        source: The layer that it stands for.
        activation: `None` for a linear output.
        name: See `FoldedConv`.
    """

    def __init__(self, arrays: Affine, source: DepthwiseConv, activation: Activation | None, name: str):
        bias = np.tile(arrays.bias, 2)
        self.rows = nnx.List(
            FoldedConv(Affine(kernel, bias), source, activation, f"{name}/{row}")
            for row, kernel in zip(("even", "odd"), split_rows(arrays.kernel), strict=True)
        )
        self.in_channels, self.out_channels, self.param_dtype = source.in_channels, source.out_channels, jnp.float32
        self.reader: FoldedConv | Activate = Activate()

    def __call__(self, x: Float[Array, "batch height width in"]) -> Float[Array, "batch 2*height 2*width out"]:
        """Applies the layer."""
        batch, height, width, channels = x.shape
        twice = jnp.concatenate([x, x], axis=3)
        rows = [self.reader(row(twice).reshape(batch, height, 2 * width, channels)) for row in self.rows]
        return jnp.concatenate(rows, axis=2).reshape(batch, 2 * height, 2 * width, -1)


def split_rows(kernel: np.ndarray) -> list[np.ndarray]:
    """Gives the depthwise kernels that equal nearest x2 up-sampling and then one of size 3 or 5.

    Args:
        kernel: `[size, size, 1, channels]`.

    Returns:
        One for the even rows and one for the odd rows, each `[3, 3, 1, 2 * channels]`. Of the small image, with its
        channels given twice, it gives the even columns and then the odd ones.
    """
    folds = phase_folds(kernel.shape[0])
    return [
        np.concatenate([np.einsum("ri,sj,ijkc->rskc", rows, columns, kernel) for columns in folds], axis=3)
        for rows in folds
    ]


def split_hard_swish(x: Array) -> Array:
    """Hard swish by operations that XNNPACK runs in int8, which HARD_SWISH is not: an ADD with ReLU6 and two MULs.

    The barrier hides them from the converter, which would make one of them.
    """
    return x * (lax.optimization_barrier(nnx.relu6(x + 3)) * (1 / 6))
