import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models.layers import (
    BatchNorm,
    Conv,
    DepthwiseConv,
    depthwise_conv_layer,
    he_normal,
    max_pool,
    pointwise_conv,
    round_channels,
    upsample_bilinear,
    upsample_bilinear_aligned,
)


@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_conv_against_loops(kernel_size, stride):
    random = np.random.default_rng(0)
    conv = Conv(3, 4, kernel_size, stride, "symmetric", bias=0.5, rngs=nnx.Rngs(0))
    x = random.normal(size=(1, 5, 6, 3)).astype(np.float32)
    margin = kernel_size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    kernel = np.asarray(conv.kernel[...])
    y = conv(jnp.asarray(x))
    assert y.shape == (1, -(-5 // stride), -(-6 // stride), 4)
    for row, column in np.ndindex(y.shape[1:3]):
        top, left = row * stride, column * stride
        patch = padded[0, top : top + kernel_size, left : left + kernel_size]
        expected = np.einsum("ijc,ijco->o", patch, kernel) + 0.5
        np.testing.assert_allclose(y[0, row, column], expected, rtol=1e-5, atol=1e-5)


def test_batch_norm_keeps_full_statistics_under_bfloat16():
    norm = BatchNorm(2)
    x = jnp.asarray(np.random.default_rng(0).normal(3, 2, (4, 8, 8, 2)), jnp.bfloat16)
    assert norm(x).dtype == jnp.bfloat16
    assert norm.mean[...].dtype == norm.var[...].dtype == jnp.float32
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(norm.mean[...], 0.1 * exact.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * exact.var((0, 1, 2)), rtol=1e-5)


def test_batch_norm_of_a_constant_stays_finite():
    x = jnp.full((2, 3, 3, 1), 7.0)
    np.testing.assert_allclose(BatchNorm(1)(x), 0, atol=1e-2)
    assert np.isfinite(nnx.grad(lambda norm, x: norm(x).sum(), argnums=1)(BatchNorm(1), x)).all()


def test_bilinear_upsampling_has_half_pixel_centers():
    x = jnp.asarray([0.0, 4.0, 8.0]).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(upsample_bilinear(x)[0, 0, :, 0], [0, 1, 3, 5, 7, 8])


def test_he_normal_has_the_right_variance_and_follows_the_seed():
    shape = (3, 3, 64, 64)
    draws = [he_normal(nnx.Rngs(seed), shape) for seed in (0, 0, 1)]
    np.testing.assert_allclose(draws[0].std(), np.sqrt(2 / (9 * 64)), rtol=0.02)
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).all()


@pytest.mark.parametrize(("channels", "rounded"), [(15, 16), (3, 8), (12, 16), (11.9, 16), (24, 24), (67, 64)])
def test_round_channels(channels, rounded):
    assert round_channels(channels) == rounded


def test_mixed_convolutions_are_convolutions_of_groups():
    """Seven channels in three groups: three, two and two; kernels of other sizes hold zeros around."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 6, 5, 7)), jnp.float32)
    mixed = depthwise_conv_layer(7, (3, 1, 5), stride=2, padding="symmetric", rngs=nnx.Rngs(0))
    assert [part.out_channels for part in mixed.parts] == [3, 2, 2]
    whole = DepthwiseConv(7, 5, 2, "symmetric", rngs=nnx.Rngs(0))
    margins = [(5 - part.kernel.shape[0]) // 2 for part in mixed.parts]
    kernels = [
        np.pad(part.kernel[...], [(margin, margin)] * 2 + [(0, 0)] * 2)
        for part, margin in zip(mixed.parts, margins, strict=True)
    ]
    whole.kernel[...] = jnp.concatenate(kernels, axis=-1)
    np.testing.assert_allclose(mixed(x), whole(x), rtol=1e-5, atol=1e-5)

    mixed = pointwise_conv(7, 4, groups=2, rngs=nnx.Rngs(0))
    blocks = [np.asarray(part.kernel[0, 0]) for part in mixed.parts]
    assert [block.shape for block in blocks] == [(4, 2), (3, 2)]
    expected = np.concatenate([np.asarray(x)[..., :4] @ blocks[0], np.asarray(x)[..., 4:] @ blocks[1]], axis=-1)
    np.testing.assert_allclose(mixed(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", "symmetric"])
def test_max_pool_against_loops(padding):
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 2)).astype(np.float32)
    y = max_pool(jnp.asarray(x), padding)
    assert y.shape == (1, 3, 3, 2)
    first = {"SAME": (0, 1), "symmetric": (1, 1)}[padding]  # zeros before an even and before an odd side
    for row, column in np.ndindex(3, 3):
        top, left = 2 * row - first[0], 2 * column - first[1]
        window = x[0, max(top, 0) : top + 3, max(left, 0) : left + 3]
        np.testing.assert_array_equal(y[0, row, column], window.max((0, 1)))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 1)])
def test_aligned_upsampling_against_interpolation(size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = x
    for axis in (1, 2):
        positions = np.linspace(0, x.shape[axis] - 1, 2 * x.shape[axis])
        expected = np.apply_along_axis(
            lambda line, p=positions: np.interp(p, np.arange(len(line)), line), axis, expected
        )
    np.testing.assert_allclose(upsample_bilinear_aligned(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)
