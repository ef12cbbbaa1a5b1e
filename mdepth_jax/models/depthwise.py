"""Depthwise convolution, in the form that runs fastest on the backend at hand."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

Padding = Literal["SAME", "symmetric"]
Implementation = Literal["lax", "shifted"]


def pad_widths(size: int, kernel_size: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Zeros before and after one axis.

    Args:
        size: Length of the axis.
        kernel_size: Odd.
        stride: Step of the convolution.
        padding: `"SAME"` is TensorFlow's (an odd zero goes last), `"symmetric"` PyTorch's, `kernel_size // 2`.
    """
    if padding == "symmetric":
        return kernel_size // 2, kernel_size // 2
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def he_normal(rngs: nnx.Rngs, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """Normal with variance 2 / fan-in, for a kernel (height, width, in, out): He et al. 2015, Eq. 10.

    NumPy draws: XLA would compile one sampler for each of some fifty shapes, ten seconds in all.
    """

    def draw(seed):
        deviation = np.sqrt(2 / np.prod(shape[:-1]))
        return np.random.default_rng(np.asarray(seed)).normal(0, deviation, shape).astype(dtype)

    seed = jax.random.key_data(rngs.params())
    return jax.pure_callback(draw, jax.ShapeDtypeStruct(shape, dtype), seed)


def depthwise_conv(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "size size 1 channels"],
    stride: int = 1,
    padding: Padding = "SAME",
    implementation: Implementation | None = None,
) -> Float[Array, "batch out_height out_width channels"]:
    """Convolves every channel with its own filter.

    Args:
        x: Input.
        kernel: One filter per channel, of the dtype of `x`.
        stride: Step along both axes.
        padding: See `pad_widths`.
        implementation: `None` is the faster one on `jax.default_backend()`.
    """
    size = kernel.shape[0]
    pads = [pad_widths(length, size, stride, padding) for length in x.shape[1:3]]
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


class DepthwiseConv(nnx.Module):
    """Depthwise convolution without bias; computes in the dtype of its input.

    Args:
        channels: Of input and output.
        kernel_size: Odd.
        stride: 1 or 2.
        padding: See `pad_widths`.
        implementation: See `depthwise_conv`.
        param_dtype: Of the kernel.
        rngs: Seeds of the He initialisation.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: Padding = "SAME",
        *,
        implementation: Implementation | None = None,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        shape = (kernel_size, kernel_size, 1, channels)
        self.kernel = nnx.Param(he_normal(rngs, shape, param_dtype))
        self.out_channels = channels
        self.stride, self.padding, self.implementation = stride, padding, implementation

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width channels"]:
        """Applies the layer."""
        kernel = self.kernel[...].astype(x.dtype)
        return depthwise_conv(x, kernel, self.stride, self.padding, self.implementation)
