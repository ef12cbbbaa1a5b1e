"""Layers of a folded network, see `folding`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from mdepth_jax.models.depthwise import Padding, pad_widths, phase_folds
from mdepth_jax.models.layers import Activation, Conv, DepthwiseConv


class ConvWeights(NamedTuple):
    """Weights of a convolution.

    Attributes:
        kernel: Kernel, `[height, width, in, out]`; `in` is 1 if depthwise.
        bias: Bias, `[out]`.
    """

    kernel: np.ndarray
    bias: np.ndarray


class FoldedConv(nnx.Module):
    """Convolution, bias, activation.

    Args:
        weights: Kernel and bias.
        original: Layer of the network with the same stride and padding.
        activation: Activation; None for a linear output.
        name: Name of the layer, after which its operators are named in the file.
    """

    def __init__(
        self,
        weights: ConvWeights,
        original: "Conv | DepthwiseConv | FoldedConv",
        activation: Activation | None,
        name: str,
    ):
        self.depthwise = isinstance(original, DepthwiseConv)
        self.stride: int = original.stride
        self.padding: Padding = original.padding
        self.param_dtype = jnp.float32
        self.activation, self.name = activation, name
        self.set_weights(weights)

    @property
    def weights(self) -> ConvWeights:
        """Kernel and bias in double precision."""
        return ConvWeights(np.asarray(self.kernel[...], np.float64), np.asarray(self.bias[...], np.float64))

    def set_weights(self, weights: ConvWeights) -> None:
        """Replaces kernel and bias."""
        self.kernel, self.bias = (nnx.Param(jnp.asarray(values, jnp.float32)) for values in weights)
        self.out_channels = len(weights.bias)
        self.in_channels = self.out_channels if self.depthwise else weights.kernel.shape[2]

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


class ActivationLayer(nnx.Module):
    """Remainder of a layer whose convolution was folded into another one.

    Args:
        activation: Activation; None for the identity.
    """

    def __init__(self, activation: Activation | None = None):
        self.activation = activation

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        """Applies the activation."""
        return x if self.activation is None else self.activation(x)


class UpsamplingConv(nnx.Module):
    """Nearest x2 up-sampling, depthwise convolution, bias, activation, and an optional pointwise convolution.

    Two convolutions of the small image compute the even and the odd rows of the result, and as channels of a pixel its
    even and its odd column (see `split_rows`). In memory these channels are two pixels of a row, and an even and an odd
    row side by side are two rows, so that reshaping interleaves them.

    Args:
        weights: Kernel and bias of the depthwise convolution.
        original: Layer of the network that is replaced.
        activation: Activation; None for a linear output.
        name: Name of the layer, as in `FoldedConv`.

    Attributes:
        pointwise: 1x1 convolution that is applied before the rows are interleaved; the identity by default.
    """

    def __init__(self, weights: ConvWeights, original: DepthwiseConv, activation: Activation | None, name: str):
        bias = np.tile(weights.bias, 2)
        self.rows = nnx.List(
            FoldedConv(ConvWeights(kernel, bias), original, activation, f"{name}/{row}")
            for row, kernel in zip(("even", "odd"), split_rows(weights.kernel), strict=True)
        )
        self.in_channels, self.out_channels = original.in_channels, original.out_channels
        self.param_dtype = jnp.float32
        self.pointwise: FoldedConv | ActivationLayer = ActivationLayer()

    def __call__(self, x: Float[Array, "batch height width in"]) -> Float[Array, "batch 2*height 2*width out"]:
        """Applies the layer."""
        batch, height, width, channels = x.shape
        twice = jnp.concatenate([x, x], axis=3)
        rows = [self.pointwise(row(twice).reshape(batch, height, 2 * width, channels)) for row in self.rows]
        return jnp.concatenate(rows, axis=2).reshape(batch, 2 * height, 2 * width, -1)


def split_rows(kernel: np.ndarray) -> list[np.ndarray]:
    """Computes the depthwise kernels, on the small image, of nearest x2 up-sampling and a depthwise convolution.

    Args:
        kernel: Kernel of size 3 or 5, `[size, size, 1, channels]`.

    Returns:
        A kernel for the even rows and one for the odd rows, each `[3, 3, 1, 2 * channels]`. Applied to the small image
        with its channels twice, each computes the even columns and then the odd ones.
    """
    folds = phase_folds(kernel.shape[0])
    return [
        np.concatenate([np.einsum("ri,sj,ijkc->rskc", rows, columns, kernel) for columns in folds], axis=3)
        for rows in folds
    ]


def split_hard_swish(x: Array) -> Array:
    """Computes hard swish with operators that XNNPACK runs in int8, which HARD_SWISH is not: ADD with ReLU6, two MULs.

    The barrier keeps the converter from fusing them into HARD_SWISH.
    """
    return x * (lax.optimization_barrier(nnx.relu6(x + 3)) * (1 / 6))
