import numpy as np
import pytest

from mdepth_jax.data.builders.map_fusion import (
    MAX_CODE,
    MAX_RATIO,
    convert,
    encode_meters,
    encode_relative,
    fuse,
    normalize,
)
from mdepth_jax.errors import UserError

DEPTH = np.float32([[1, 2], [4, 8]])


def test_the_same_scene_in_depth_and_inverse_depth_is_the_same():
    for space in ("log", "inverse"):
        of_depth = normalize(convert(DEPTH, "depth in meters", space))
        of_inverse = normalize(convert(3 / DEPTH, "inverse relative depth", space))
        np.testing.assert_allclose(of_depth, of_inverse, rtol=1e-5)
    assert np.all(np.diff(convert(3 / DEPTH, "inverse relative depth", "log").ravel()) > 0)


def test_what_needs_no_conversion_stays():
    assert convert(DEPTH, "inverse relative depth", "inverse") is DEPTH
    assert convert(-DEPTH, "relative depth", "depth").max() < 0


def test_depth_that_is_not_positive_is_unknown_and_the_sky_is_far_not_infinitely():
    depth = np.float32([[0, -1], [1, 4]])
    for space in ("meters", "log", "inverse"):
        assert np.isnan(convert(depth, "depth in meters", space)).tolist() == [[True, True], [False, False]]
    sky = convert(np.float32([[0, 1], [2, 4]]), "inverse relative depth", "log")
    np.testing.assert_allclose(np.exp(sky.max() - sky.min()), MAX_RATIO, rtol=1e-4)
    with pytest.raises(UserError, match="no predicted value is positive"):
        convert(-DEPTH, "inverse relative depth", "log")


def test_normalized_maps_have_median_0_and_mean_deviation_1():
    values = np.random.default_rng(0).normal(5, 3, (7, 9)).astype(np.float32)
    values[0] = np.nan
    normalized = normalize(values)
    assert np.isnan(normalized[0]).all()
    assert abs(np.nanmedian(normalized)) < 1e-6
    np.testing.assert_allclose(np.nanmean(np.abs(normalized)), 1, rtol=1e-5)
    np.testing.assert_allclose(normalize(7 * values - 2), normalized, rtol=1e-4, atol=1e-5)
    for nothing in (np.ones((2, 2), np.float32), np.full((2, 2), np.nan, np.float32)):
        with pytest.raises(UserError, match="the same everywhere"):
            normalize(nothing)


def test_weights_and_disagreement():
    first, second = np.float32([[0, 1, np.nan]]), np.float32([[0, 4, 0]])
    np.testing.assert_allclose(fuse([first, second], [1.0, 3.0], None), [[0, 3.25, np.nan]])
    np.testing.assert_allclose(fuse([first, second], [1.0, 3.0], 3.0), [[0, 3.25, np.nan]])
    np.testing.assert_allclose(fuse([first, second], [1.0, 3.0], 2.9), [[0, np.nan, np.nan]])


def test_relative_codes_span_all_and_clip_nothing():
    values = np.float32([[-3, 1, np.nan], [0, 2, 7]])
    codes = encode_relative(values)
    assert codes.dtype == np.uint16
    assert (codes[0, 0], codes[0, 2], codes[1, 2]) == (1, 0, MAX_CODE)
    known = np.isfinite(values)
    slope, shift = np.polyfit(codes[known].astype(float), values[known], 1)
    np.testing.assert_allclose(codes[known] * slope + shift, values[known], atol=1e-3)
    with pytest.raises(UserError, match="no pixel is known"):
        encode_relative(np.full((2, 2), np.nan, np.float32))


def test_codes_of_meters():
    codes = encode_meters(np.float32([[1.5, 65.6, np.nan, 0.0001]]), 0.001)
    assert codes.tolist() == [[1500, 0, 0, 0]]
