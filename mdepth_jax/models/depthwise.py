"""Depthwise convolution in the form that runs fastest on the default backend.

XLA's grouped convolution is an order of magnitude slower on the CPU than the sum of shifted products
here, whose gradients are shifted products again. Sums are formed in float32 whatever the dtype of the arguments.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

Padding = Literal["SAME", "symmetric"]
Implementation = Literal["lax", "shifted"]


def default_implementation() -> Implementation:
    """Returns the fastest implementation on the default backend."""
    return "shifted" if jax.default_backend() == "cpu" else "lax"


def pad_widths(size: int, kernel_size: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Computes the numbers of zeros before and after one axis, for an output of ceil(size / stride) entries.

    Args:
        size: Length of the axis.
        kernel_size: Kernel size, odd.
        stride: Stride of the convolution.
        padding: Rule: `"SAME"` is TensorFlow's (an odd zero goes last), `"symmetric"` PyTorch's `kernel_size // 2`.
    """
    if padding == "symmetric":
        return kernel_size // 2, kernel_size // 2
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


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
        kernel: Filters, of odd size and of the dtype of `x`.
        stride: Stride, 1 or 2.
        padding: Padding as in `pad_widths`.
        implementation: Form of the computation: `"lax"` is one XLA convolution, `"shifted"` a sum of shifted products;
            `None` chooses the faster one on the default backend.
    """
    pads = tuple(pad_widths(size, kernel.shape[0], stride, padding) for size in x.shape[1:3])
    if (implementation or default_implementation()) == "shifted":
        return _shifted_conv(x, kernel, stride, pads)
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def upsampled_depthwise_conv(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "size size 1 channels"],
    implementation: Implementation | None = None,
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Doubles the size (nearest) and applies `depthwise_conv`.

    The `"shifted"` implementation never builds the large input: taps that meet the same small pixel are added up
    first, and each of the four output phases is a 3x3 convolution of the small image. Equal up to rounding.

    Args:
        x: Input.
        kernel: Filters, of size 3 or 5 and of the dtype of `x`.
        implementation: Form of the computation as in `depthwise_conv`.
    """
    implementation = implementation or default_implementation()
    if implementation == "lax":
        return depthwise_conv(upsample_nearest(x), kernel, implementation=implementation)
    folds = [jnp.asarray(fold, kernel.dtype) for fold in phase_folds(kernel.shape[0])]
    return _interleave(
        [
            [
                depthwise_conv(x, jnp.einsum("ri,sj,ijkc->rskc", rows, columns, kernel), implementation=implementation)
                for columns in folds
            ]
            for rows in folds
        ]
    )


def phase_folds(kernel_size: int) -> list[Bool[np.ndarray, "3 kernel_size"]]:
    """Returns which taps along one axis meet small pixel i - 1, i, i + 1, for the upsampled pixels 2 i and 2 i + 1.

    Args:
        kernel_size: Kernel size, 3 or 5.
    """
    taps = np.arange(kernel_size) - kernel_size // 2
    return [(taps + phase) // 2 == np.arange(-1, 2)[:, None] for phase in (0, 1)]


@jax.jit
def upsample_nearest(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels"]:
    """Repeats every pixel 2x2 times."""
    return _interleave([[x, x], [x, x]])


def _interleave(phases: Sequence[Sequence[Array]]) -> Array:
    """Builds the image whose pixel (s * i + a, s * j + b) is pixel (i, j) of `phases[a][b]`."""
    if len(phases) == 1:
        return phases[0][0]
    batch, height, width, channels = phases[0][0].shape
    rows = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    return rows.reshape(batch, len(phases) * height, len(phases) * width, channels)


def _pad(x, pads):
    """Pads the image with zeros, not fused with the many products that read it."""
    return lax.optimization_barrier(jnp.pad(x, ((0, 0), *pads, (0, 0))))


def _window(padded, tap, shape, stride=1):
    """Returns the `shape` pixels that one tap of the kernel meets, in the dtype of sums."""
    batch, _, _, channels = padded.shape
    row, column = tap
    limits = batch, row + (shape[0] - 1) * stride + 1, column + (shape[1] - 1) * stride + 1, channels
    window = lax.slice(padded, (0, row, column, 0), limits, (1, stride, stride, 1))
    return _widen(window)


def _widen(x):
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _shifted_conv(x, kernel, stride, pads):
    shape = tuple(-(-size // stride) for size in x.shape[1:3])
    padded = _pad(x, pads)
    products = [
        _window(padded, tap, shape, stride) * _widen(kernel[tap])[None, None] for tap in np.ndindex(kernel.shape[:2])
    ]
    return sum(products).astype(x.dtype)


def _shifted_conv_forward(x, kernel, stride, pads):
    return _shifted_conv(x, kernel, stride, pads), (x, kernel)


def _shifted_conv_backward(stride, pads, residuals, cotangent):
    x, kernel = residuals
    return (
        _input_gradient(cotangent, kernel, stride, pads, x.shape),
        _kernel_gradient(cotangent, x, stride, pads, kernel.shape),
    )


_shifted_conv.defvjp(_shifted_conv_forward, _shifted_conv_backward)


def _input_gradient(cotangent, kernel, stride, pads, shape):
    """Computes the gradient of the input.

    Input pixel `stride * i + phase` meets tap `t` in output pixel `i + (phase + pad - t) / stride`.
    """
    size = kernel.shape[0]
    margin = size // 2
    padded = _pad(cotangent, ((margin, margin), (margin, margin)))

    def phase_gradient(*phase):
        products = []
        for tap in np.ndindex(size, size):
            (row, row_rest), (column, column_rest) = (
                divmod(phase[axis] + pads[axis][0] - tap[axis], stride) for axis in (0, 1)
            )
            if row_rest == column_rest == 0:
                window = _window(padded, (margin + row, margin + column), cotangent.shape[1:3])
                products.append(window * _widen(kernel[tap])[None, None])
        return sum(products).astype(cotangent.dtype)

    phases = [[phase_gradient(row, column) for column in range(stride)] for row in range(stride)]
    return _interleave(phases)[:, : shape[1], : shape[2]]


def _kernel_gradient(cotangent, x, stride, pads, shape):
    """Computes the gradient of the kernel.

    One reduction sums the products of all taps: one for each tap reads the arrays again and is ten times slower.
    """
    padded = _pad(x, pads)
    products = [_window(padded, tap, cotangent.shape[1:3], stride) * _widen(cotangent) for tap in np.ndindex(shape[:2])]
    zeros = [jnp.zeros((), product.dtype) for product in products]
    columns = lax.reduce(products, zeros, lambda a, b: [u + v for u, v in zip(a, b, strict=True)], (0, 1))
    return jnp.stack(columns).sum(1).reshape(shape).astype(x.dtype)
