import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import affine_invariant_loss, gradient_matching_loss


def both_losses(prediction, target, valid):
    """The two losses, and the gradient of each."""
    losses, pull_back = jax.vjp(
        lambda p: (affine_invariant_loss(p, target, valid), gradient_matching_loss(p, target, valid)), prediction
    )
    zero, one = jnp.zeros_like(losses[0]), jnp.ones_like(losses[0])
    return losses, (pull_back((one, zero))[0], pull_back((zero, one))[0])


jitted_losses = jax.jit(both_losses)
trimmed = jax.jit(
    jax.value_and_grad(lambda *maps, trim: affine_invariant_loss(*maps, trim=trim)), static_argnames="trim"
)
SHAPE = 2, 9, 11, 1


def random_maps(shape=SHAPE):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, *shape)).astype(np.float32)
    return prediction, target, rng.random(shape) < 0.8


def loop_normalize(depth, valid):
    """The published normalization of one image, pixel by pixel; pixels that are not valid stay in."""
    known = sorted(depth[valid].tolist())
    median = known[(len(known) - 1) // 2]
    deviation = sum(abs(value - median) for value in known) / len(known)
    return (depth - median) / max(deviation, 1e-6)


def loop_losses(prediction, target, valid, trim=0.0):
    """Both losses of a batch `[batch, height, width]` in float64, from their definition, with loops over pixels."""
    images = [
        (loop_normalize(p, v), loop_normalize(t, v), v)
        for p, t, v in zip(prediction, target, valid, strict=True)
        if v.any()
    ]
    errors = [sorted(np.abs(p - t)[v])[: int(v.sum() * (1 - trim))] for p, t, v in images]
    affine = sum(map(sum, errors)) / max(valid.sum(), 1)
    scales = []
    for block in (1, 2, 4, 8):
        steps = []
        for p, t, v in images:
            rows, columns = v.shape[0] // block, v.shape[1] // block
            cells = {}
            for y, x in itertools.product(range(rows), range(columns)):
                cell = slice(y * block, (y + 1) * block), slice(x * block, (x + 1) * block)
                if v[cell].mean() > 0.99:
                    cells[y, x] = p[cell].mean(), t[cell].mean()
            for (y, x), (p_here, t_here) in cells.items():
                for neighbor in ((y + 1, x), (y, x + 1)):
                    if neighbor in cells:
                        p_there, t_there = cells[neighbor]
                        steps.append(abs((p_there - p_here) - (t_there - t_here)))
        scales.append(sum(steps) / max(len(steps), 1))
    return affine, np.mean(scales)


def pad(array, shape=(4, 32, 48, 1)):
    """Adds pixels and images that are not valid: one program for all cases, and the losses do not change."""
    return np.pad(array, [(0, size - own) for size, own in zip(shape, array.shape, strict=True)])


@pytest.mark.parametrize("number", range(8))
def test_golden_values_and_gradients(golden, number):
    case = golden("affine_invariant")[number]
    maps = [np.moveaxis(case[key], 1, -1) for key in ("prediction", "target", "valid")]
    prediction, target, valid = map(pad, maps)
    losses, gradients = jitted_losses(prediction, target, valid > 0)
    is_perfect = case["kind"] == "affine"
    for name, loss, gradient in zip(("ssi", "grad"), losses, gradients, strict=True):
        np.testing.assert_allclose(loss, case[name], rtol=2e-5, atol=1e-6 if is_perfect else 0)
        if not is_perfect:  # there every residual is 0 up to rounding, and the gradient is that of the rounding
            expected = pad(np.moveaxis(case[f"{name}_gradient"], 1, -1))
            rounding = 1e-8  # all that there is where the target is constant: the first loss is 1 for any prediction
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-4 * np.abs(expected).max() + rounding)


@pytest.mark.parametrize("trim", [0.0, 0.2, 0.5])
def test_equal_a_loop_over_pixels(trim):
    prediction, target, valid = random_maps()
    losses, _ = jitted_losses(prediction, target, valid)
    expected = loop_losses(*(array[..., 0] for array in (prediction, target, valid)), trim=trim)
    np.testing.assert_allclose(trimmed(prediction, target, valid, trim=trim)[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(losses[1], expected[1], rtol=1e-5)


def test_trimming_may_leave_out_every_pixel():
    """Of three pixels 70 % are rounded up to three."""
    prediction, target, valid = random_maps()
    valid[:] = False
    valid[:, 2, :3] = True
    assert loop_losses(*(array[..., 0] for array in (prediction, target, valid)))[0] > 0.1
    loss, gradient = trimmed(prediction, target, valid, trim=0.7)
    assert loss == 0
    assert not gradient.any()


def test_all_pixels_are_valid_by_default():
    prediction, target, _ = map(jnp.asarray, random_maps())
    every = jitted_losses(prediction, target, jnp.ones(SHAPE, bool))
    default = jitted_losses(prediction, target, None)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-6), default, every)


def test_unknown_targets_do_not_spread():
    prediction, target, valid = random_maps()
    known = jitted_losses(prediction, target, valid)
    unknown = jitted_losses(prediction, np.where(valid, target, np.nan), valid)
    jax.tree.map(np.testing.assert_array_equal, known, unknown)
    for gradient in known[1]:
        assert not gradient[~valid].any()


def test_no_affine_change_of_a_map_matters():
    prediction, target, valid = random_maps()
    losses, _ = jitted_losses(prediction, target, valid)
    change = np.float32([1000, 0.01]).reshape(2, 1, 1, 1), np.float32([-30, 5]).reshape(2, 1, 1, 1)  # of each image
    for maps in ((prediction, target * change[0] + change[1]), (prediction * change[0] + change[1], target)):
        np.testing.assert_allclose(jitted_losses(*maps, valid)[0], losses, rtol=1e-3)
    perfect, _ = jitted_losses(target * change[0] + change[1], target, valid)
    np.testing.assert_allclose(perfect, 0, atol=1e-4)
    turned, _ = jitted_losses(-target, target, valid)
    assert min(turned) > 1


def test_masked_images():
    prediction, target, valid = random_maps()
    losses, gradients = jitted_losses(prediction, target, np.zeros_like(valid))
    np.testing.assert_array_equal(losses, 0)
    np.testing.assert_array_equal(gradients, 0)
    valid[1] = False
    losses, gradients = jitted_losses(prediction, target, valid)
    expected = loop_losses(*(array[..., 0] for array in (prediction, target, valid)))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert gradient[0].any()
        assert not gradient[1].any()


@pytest.mark.parametrize("case", ["one pixel", "constant target", "constant prediction", "ties", "equal"])
def test_edge_cases_are_finite(case):
    prediction, target, valid = random_maps()
    if case == "one pixel":
        valid[:] = False
        valid[:, 3, 4] = True
    elif case == "constant target":
        target[:] = 0.1
    elif case == "constant prediction":
        prediction[:] = 0.1
    elif case == "ties":
        prediction = np.round(prediction)
        target = np.where(target > 0, np.float32(3), target)
    else:
        prediction = target
    losses, gradients = jitted_losses(prediction, target, valid)
    expected = loop_losses(*(array[..., 0] for array in (prediction.astype(np.float64), target, valid)))
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradients).all()
    for trim in (0.2, 0.5):
        loss, gradient = trimmed(prediction, target, valid, trim=trim)
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()


def test_the_gradient_is_that_of_the_definition(x64):
    prediction, target, valid = random_maps((1, 4, 5, 1))
    prediction, target = prediction.astype(np.float64), target.astype(np.float64)
    _, gradients = jitted_losses(prediction, target, valid)
    for y, x in np.argwhere(valid[0, ..., 0])[::3]:
        step = np.zeros_like(prediction)
        step[0, y, x] = 1e-6
        above, below = (
            loop_losses(*(array[..., 0] for array in (moved, target, valid)))
            for moved in (prediction + step, prediction - step)
        )
        for gradient, high, low in zip(gradients, above, below, strict=True):
            np.testing.assert_allclose(gradient[0, y, x, 0], (high - low) / 2e-6, rtol=1e-6, atol=1e-8)


def test_values_that_tie_for_the_median_share_its_gradient():
    prediction = jnp.float32([0, 1, 1, 1, 1, 5]).reshape(1, 2, 3, 1)
    target = jnp.float32([0, 1, 2, 3, 4, 9]).reshape(1, 2, 3, 1)
    _, (gradient, _) = jitted_losses(prediction, target, jnp.ones(target.shape, bool))
    assert jnp.sum(gradient) == pytest.approx(0, abs=1e-6)  # an addend changes nothing
    moved = jitted_losses(prediction[:, ::-1, ::-1], target[:, ::-1, ::-1], jnp.ones(target.shape, bool))[1][0]
    np.testing.assert_allclose(moved[:, ::-1, ::-1], gradient, atol=1e-6)  # neither does the order of the pixels


def test_arguments_out_of_range():
    prediction, target, valid = map(jnp.asarray, random_maps())
    for trim in (-0.1, 1.0):
        with pytest.raises(ValueError, match="`trim` must be in the range"):
            affine_invariant_loss(prediction, target, valid, trim=trim)
    with pytest.raises(ValueError, match="`scales` must be positive"):
        gradient_matching_loss(prediction, target, valid, scales=0)


def test_bfloat16_prediction_gives_a_float32_loss():
    prediction, target, valid = map(jnp.asarray, random_maps())
    for loss in (affine_invariant_loss, gradient_matching_loss):
        assert loss(prediction.astype(jnp.bfloat16), target, valid).dtype == jnp.float32


def test_two_devices_give_the_result_of_one():
    maps = random_maps()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(maps, NamedSharding(mesh, PartitionSpec("data")))
    one, two = jitted_losses(*maps), jitted_losses(*sharded)
    jax.tree.map(lambda left, right: np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7), one, two)
