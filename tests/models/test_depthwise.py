import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.models.depthwise import depthwise_conv, pad_widths, upsample_nearest, upsampled_depthwise_conv


@partial(jax.jit, static_argnums=0)
def value_and_gradients(function, x, kernel):
    """The output, and the gradients of an uneven sum of it, whose weights are the same in every dtype."""
    y, pullback = jax.vjp(function, x, kernel)
    weights = jnp.asarray(np.cos(np.arange(y.size)), jnp.bfloat16).astype(y.dtype)
    return y, *pullback(weights.reshape(y.shape))


def draw(size, kernel_size, dtype):
    random = np.random.default_rng(0)
    x = random.normal(size=(2, *size, 3))
    kernel = random.normal(size=(kernel_size, kernel_size, 1, 3))
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)


def loops(x, kernel, stride, padding):
    """The definition, pixel by pixel."""
    size = kernel.shape[0]
    pads = [pad_widths(length, size, stride, padding) for length in x.shape[1:3]]
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = ((length - size) // stride + 1 for length in x.shape[1:3])
    y = np.zeros((x.shape[0], height, width, x.shape[3]))
    for row, column in np.ndindex(height, width):
        patch = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
        y[:, row, column] = (patch * kernel[None, :, :, 0]).sum((1, 2))
    return y


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "size"),
    [
        *itertools.product([3, 5], [1, 2], ["SAME", "symmetric"], [(8, 7), (1, 2)]),
        (7, 2, "symmetric", (8, 7)),
        (9, 1, "SAME", (8, 7)),
        (11, 2, "SAME", (8, 7)),
    ],
)
def test_shifted_equals_lax_in_value_and_gradient(x64, kernel_size, stride, padding, size):
    x, kernel = draw(size, kernel_size, jnp.float64)

    def run(implementation):
        return value_and_gradients(
            lambda x, kernel: depthwise_conv(x, kernel, stride, padding, implementation), x, kernel
        )

    for shifted, reference in zip(run("shifted"), run("lax"), strict=True):
        np.testing.assert_allclose(shifted, reference, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(run("shifted")[0], loops(x, kernel, stride, padding), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.bfloat16, 2e-2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_low_precision_stays_close_to_double(dtype, tolerance, stride):
    x, kernel = draw((11, 14), 5, dtype)
    outputs = value_and_gradients(lambda x, kernel: depthwise_conv(x, kernel, stride), x, kernel)
    references = value_and_gradients(
        lambda x, kernel: depthwise_conv(x, kernel, stride, implementation="lax"),
        x.astype(jnp.float32),
        kernel.astype(jnp.float32),
    )
    for output, reference in zip(outputs, references, strict=True):
        assert output.dtype == dtype
        error = np.abs(output.astype(jnp.float32) - reference).max()
        assert error <= tolerance * np.abs(reference).max()


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (1, 1)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_upsampled_equals_upsampling_first(x64, kernel_size, size):
    x, kernel = draw(size, kernel_size, jnp.float64)
    direct = value_and_gradients(lambda x, k: upsampled_depthwise_conv(x, k, "shifted"), x, kernel)
    staged = value_and_gradients(lambda x, k: upsampled_depthwise_conv(x, k, "lax"), x, kernel)
    for output, reference in zip(direct, staged, strict=True):
        np.testing.assert_allclose(output, reference, rtol=1e-12, atol=1e-12)


def test_nearest_upsampling_repeats_pixels():
    x = jnp.arange(2 * 2 * 3 * 2, dtype=jnp.float32).reshape(2, 2, 3, 2)
    np.testing.assert_array_equal(upsample_nearest(x), x.repeat(2, axis=1).repeat(2, axis=2))
