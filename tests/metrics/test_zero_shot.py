import numpy as np
import pytest

from mdepth_jax.metrics import ImageErrors, abs_rel, align_affine, align_disparity, image_errors

ALIGN = {"depth": align_affine, "disparity": align_disparity}
BOTH = pytest.mark.parametrize("align", ALIGN.values(), ids=ALIGN)


def as_batch(*maps):
    return [np.asarray(values)[None, ..., None] for values in maps]


def random_maps(batch=3, height=8, width=6):
    rng = np.random.default_rng(0)
    target = rng.uniform(0.5, 9, (batch, height, width, 1)).astype(np.float32)
    prediction = (target + rng.normal(size=target.shape)).astype(np.float32)
    target[rng.random(target.shape) < 0.1] = np.nan
    target[rng.random(target.shape) < 0.1] = 0
    return prediction, target, rng.random(target.shape) < 0.8


@pytest.mark.parametrize("number", range(5))
def test_golden_alignment_and_errors(golden, number):
    case = golden("aligned_metrics")[number]
    prediction, depth, valid = as_batch(case["prediction"], case["depth"], case["valid"])
    aligned = ALIGN[str(case["space"])](prediction, depth, valid)
    assert aligned.dtype == np.float64
    np.testing.assert_allclose(aligned[0, ..., 0], case["aligned_depth"], rtol=1e-5)
    scores = image_errors(aligned, depth, valid).scores
    for name in ("abs_rel", "delta1", "rmse"):
        np.testing.assert_allclose(scores[name], case[name], rtol=1e-5)
    assert abs_rel(aligned, depth, valid) == scores["abs_rel"]


def test_a_fit_and_its_errors_equal_a_loop():
    """NumPy's solver image by image, and the metrics pixel by pixel."""
    maps = random_maps()
    values = {name: [] for name in ("abs_rel", "delta1", "delta2", "delta3", "rmse")}
    for prediction, target, valid in zip(*maps, strict=True):
        known = valid & (target > 0)
        p, t = prediction[known].astype(np.float64), target[known].astype(np.float64)
        scale, shift = np.linalg.lstsq(np.stack([p, np.ones_like(p)], 1), t, rcond=None)[0]
        aligned = np.clip(scale * p + shift, 1e-3, 80)
        ratios = np.array([max(a / b, b / a) for a, b in zip(aligned, t, strict=True)])
        values["abs_rel"].append(np.mean([abs(a - b) / b for a, b in zip(aligned, t, strict=True)]))
        for power in (1, 2, 3):
            values[f"delta{power}"].append((ratios < 1.25**power).mean())
        values["rmse"].append(np.sqrt(np.mean((aligned - t) ** 2)))
    errors = image_errors(align_affine(*maps), *maps[1:])
    for name, expected in values.items():
        np.testing.assert_allclose(getattr(errors, name), expected, rtol=1e-9)
        np.testing.assert_allclose(errors.scores[name], np.mean(expected), rtol=1e-9)


@BOTH
def test_unit_sign_and_precision_of_a_prediction_do_not_matter(align):
    prediction, target, valid = random_maps()
    expected = align(prediction, target, valid)
    for scale, shift in ((1000, -7), (-0.01, 1e5)):
        np.testing.assert_allclose(align(prediction.astype(np.float64) * scale + shift, target, valid), expected)


def test_a_right_prediction_has_no_error():
    _, target, valid = random_maps()
    known = valid & (target > 0)
    depth = np.where(known, target, 1)
    for aligned in (align_affine(7 * depth - 3, target, valid), align_disparity(3 / depth + 1, target, valid)):
        np.testing.assert_allclose(aligned[known], target[known], rtol=1e-6)
        assert abs_rel(aligned, target, valid) < 1e-6
    # Depth is no affine function of disparity:
    assert abs_rel(align_disparity(depth, target, valid), target, valid) > 0.1


@BOTH
@pytest.mark.parametrize("pixels", [0, 1, 9])
def test_maps_without_enough_to_fit(align, pixels):
    """The mean of depth or of disparity where a line cannot be fitted, and no warning."""
    target = np.full((1, 3, 3, 1), np.nan, np.float32)
    target.ravel()[:pixels] = np.arange(1, pixels + 1)
    for prediction in (np.full(target.shape, 0.1, np.float32), np.zeros_like(target)):
        aligned = align(prediction, target)
        assert np.isfinite(aligned).all()
        errors = image_errors(aligned, target)
        assert errors.pixels == pixels
        if pixels == 0:
            assert not any(errors.scores.values())
            continue
        known = target[target > 0].astype(np.float64)
        mean = known.mean() if align is align_affine else 1 / (1 / known).mean()
        np.testing.assert_allclose(aligned, mean, rtol=1e-12)


@BOTH
def test_depth_stays_in_its_range(align):
    target = np.float32([1, 2, 3, 4]).reshape(1, 2, 2, 1)
    valid = np.array([True, True, True, False]).reshape(target.shape)
    for far in (1e6, -1e6):
        prediction = np.float32([1, 2, 3, far]).reshape(target.shape)
        aligned = align(prediction, target, valid)
        assert aligned.min() >= 1e-3
        assert aligned.max() <= 80


def test_a_prediction_that_is_not_a_number_is_wrong():
    prediction, target, valid = random_maps()
    prediction[0, 2, 3] = np.nan
    target[0, 2, 3], valid[0, 2, 3] = 2, True
    errors = image_errors(align_affine(prediction, target, valid), target, valid)
    assert np.isnan(errors.abs_rel[0])
    assert errors.delta1[0] == errors.delta3[0] == 0
    assert np.isfinite(errors.abs_rel[1:]).all()
    valid[0, 2, 3] = False
    assert np.isfinite(image_errors(align_affine(prediction, target, valid), target, valid).abs_rel).all()


def test_depth_that_is_not_positive_is_within_no_factor():
    target = np.float32([1, 2, 3, 4]).reshape(1, 2, 2, 1)
    errors = image_errors(np.float32([-1, 0, 3, 4]).reshape(target.shape), target)
    assert errors.delta1 == errors.delta3 == 0.5


def test_the_borders_of_the_deltas_are_outside():
    """A prediction that is larger or smaller by exactly 1.25, 1.25^2 or 1.25^3, which floating point holds exactly."""
    target = np.float64([64, 125]).reshape(1, 1, 2, 1)
    for power, names in ((1, ("delta1",)), (2, ("delta1", "delta2")), (3, ("delta1", "delta2", "delta3"))):
        factor = 1.25**power
        for prediction in (factor * target, target / factor):
            errors = image_errors(np.float64(prediction), target)
            assert [name for name in ("delta1", "delta2", "delta3") if getattr(errors, name) == 0] == list(names)


def test_images_count_alike_whatever_their_number_of_pixels():
    prediction, target, valid = random_maps()
    valid[1] = False
    valid[2, 1:] = False
    parts = [image_errors(*(array[i : i + 1] for array in (prediction, target, valid))) for i in range(3)]
    errors = ImageErrors.concatenate(parts)
    assert errors.pixels[1] == 0
    assert errors.scores["rmse"] == pytest.approx((errors.rmse[0] + errors.rmse[2]) / 2)
