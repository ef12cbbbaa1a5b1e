import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.metrics import align_to_nyu, rmse, si_rmse
from mdepth_jax.metrics.alignment import NYU_MEAN

jitted_align = jax.jit(align_to_nyu)


@pytest.mark.parametrize("number", range(3))
def test_golden_nyu_alignment(golden, x64, number):
    case = golden("align_to_nyu")[number]
    prediction, target = (jnp.asarray(case[key])[None, ..., None] for key in ("z", "gt"))
    aligned = jitted_align(prediction)
    np.testing.assert_allclose(aligned[0, ..., 0], case["normalised"], rtol=1e-9)
    np.testing.assert_allclose(rmse(aligned, target) ** 2, case["fmse"], rtol=1e-9)


def test_alignment_is_free_of_unit_and_finite():
    depth = np.random.default_rng(0).normal(size=(4, 9, 7, 1)).astype(np.float32)
    aligned = jitted_align(depth)
    np.testing.assert_allclose(jitted_align(100 * depth - 7), aligned, rtol=1e-4)
    assert (aligned >= 0).all()
    np.testing.assert_allclose(jitted_align(np.full_like(depth, 3)), NYU_MEAN, rtol=1e-6)
    with jax.debug_nans(True):  # not even on the way
        np.testing.assert_allclose(align_to_nyu(jnp.full((1, 1, 1, 1), 5.0)), NYU_MEAN, rtol=1e-6)


def test_si_rmse_of_relative_depth_does_not_depend_on_its_unit_or_origin():
    """Without the alignment, a prediction that is right up to a factor and an addend scores above 4."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 6, (1, 20, 30, 1)).astype(np.float32)
    relative = depth - depth.mean()  # half of it is negative
    unaligned = si_rmse(jnp.asarray(relative), jnp.asarray(depth))
    scores = [
        float(si_rmse(align_to_nyu(jnp.asarray(relative * factor + addend)), jnp.asarray(depth)))
        for factor, addend in ((1, 0), (30, 7), (0.01, -100))
    ]
    assert unaligned > 4
    assert max(scores) < 0.35
    np.testing.assert_allclose(scores, scores[0], rtol=1e-2)
