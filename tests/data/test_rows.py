import dataclasses

import numpy as np
import pytest

from mdepth_jax.data.crops import EIGEN_CROP
from mdepth_jax.data.images import resize_image
from mdepth_jax.data.pairs import net_coordinates
from mdepth_jax.data.rows import BatchSpec, eval_row, filling_row, train_row, visible_depth
from mdepth_jax.errors import UserError

SPEC = BatchSpec(height=6, width=8, batch_size=1, depth=True)


@pytest.fixture
def example(ramp):
    """An image of 12x24 pixels with three pairs."""
    image, depth = ramp(12, 24)
    points = np.array([[[0, 0], [11, 23]], [[5, 7], [5, 16]], [[2, 12], [9, 12]]], np.int32)
    return {"image": image, "points": points, "relation": np.int32([-1, -1, 0]), "depth": depth.astype(np.float32)}


def test_rows_are_padded(example):
    row = train_row(example, SPEC, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(row["image"], resize_image(example["image"], 6, 8))
    np.testing.assert_array_equal(row["points"][:3], net_coordinates(example["points"], (12, 24), (6, 8)))
    np.testing.assert_array_equal(row["points"][3:], 0)
    np.testing.assert_array_equal(row["relation"], [-1, -1, 0, 0, 0])
    np.testing.assert_array_equal(row["valid"], [True] * 3 + [False] * 2)
    np.testing.assert_array_equal(row["image_size"], [12, 24])
    assert row["depth"].shape == (6, 8, 1)
    assert "teacher_depth" not in row


def test_training_draws_pairs_where_evaluation_keeps_pixels_of_the_image(example):
    drawn = train_row(example, SPEC, 2, np.random.default_rng(0))
    assert drawn["valid"].all()
    row = eval_row(example, SPEC, 3)
    np.testing.assert_array_equal(row["points"], example["points"])


def test_a_crop_in_evaluation_drops_the_pairs_outside(example):
    row = eval_row(example, dataclasses.replace(SPEC, crop="random"), 3)
    middle = resize_image(example["image"][:, 4:20], 6, 8)
    np.testing.assert_array_equal(row["image"][:, 1:-1], middle[:, 1:-1])  # the rest averages over the edge of the crop
    np.testing.assert_array_equal(row["valid"], [True, True, False])
    np.testing.assert_array_equal(row["points"][:2], example["points"][1:] - (0, 4))
    np.testing.assert_array_equal(row["image_size"], [12, 16])


def test_zoom_divides_the_depth(example):
    example["depth"][:] = 5
    spec = dataclasses.replace(SPEC, scale=3.0, crop="center")
    depths = [train_row(example, spec, 3, np.random.default_rng(seed))["depth"] for seed in range(5)]
    assert all(np.ptp(depth) < 1e-5 for depth in depths)
    zooms = [5 / float(depth[0, 0, 0]) for depth in depths]
    assert min(zooms) >= 1
    assert 1.5 < max(zooms) <= 3


def test_an_inverted_map_of_a_teacher_becomes_depth(example):
    """Disparity: larger = nearer; enlarged, the scene is nearer."""
    example["depth"][:] = 5
    example["teacher_depth"] = np.float32(1) / example["depth"]
    spec = dataclasses.replace(SPEC, teacher_depth=True, teacher_inverted=True, scale=3.0, crop="center")
    for seed in range(3):
        row = train_row(example, spec, 3, np.random.default_rng(seed))
        np.testing.assert_allclose(row["teacher_depth"], -1 / row["depth"], rtol=1e-6)
        row = train_row(example, dataclasses.replace(spec, log=4.0), 3, np.random.default_rng(seed))
        np.testing.assert_allclose(row["teacher_depth"], row["depth"], rtol=1e-6)


def test_logarithm_of_unknown_and_zero_depth_is_unknown(example):
    example["depth"][:, :12] = 0
    example["depth"][:, 12:] = np.e
    row = eval_row(example, dataclasses.replace(SPEC, log=10.0), 3)
    assert np.isnan(row["depth"][:, 0]).all()
    np.testing.assert_allclose(row["depth"][:, -1], 10, rtol=1e-5)


def test_filling_rows_have_the_form_of_the_others(example):
    spec = dataclasses.replace(SPEC, teacher_depth=True, crop="center")
    filling, row = filling_row(spec, 3), eval_row(example, spec, 3)
    assert {key: (value.shape, value.dtype) for key, value in filling.items()} == {
        key: (value.shape, value.dtype) for key, value in row.items()
    }
    assert not filling["valid"].any()
    assert not filling["image"].any()
    assert np.isnan(filling["depth"]).all()


def test_visible_depth():
    depth = np.arange(480 * 640, dtype=np.float32).reshape(480, 640)
    np.testing.assert_array_equal(visible_depth(depth, SPEC, None), depth)
    inside = visible_depth(depth, SPEC, EIGEN_CROP)
    np.testing.assert_array_equal(inside[EIGEN_CROP], depth[EIGEN_CROP])
    assert np.isfinite(inside).sum() == 426 * 560
    square = BatchSpec(height=32, width=32, crop="center")
    np.testing.assert_array_equal(visible_depth(depth, square, None), depth[:, 80:560])
    np.testing.assert_array_equal(visible_depth(depth, square, EIGEN_CROP), inside[:, 80:560])
    with pytest.raises(UserError, match="a depth map is 320x240, the crop is for 640x480"):
        visible_depth(depth[::2, ::2], SPEC, EIGEN_CROP)


def test_relative_depth_of_a_teacher_has_neither_zoom_nor_logarithm(example):
    example["teacher_depth"] = np.full_like(example["depth"], -0.5)
    example["teacher_relative"] = True
    spec = dataclasses.replace(SPEC, teacher_depth=True, scale=3.0, crop="center", log=2.0)
    for row in (train_row(example, spec, 3, np.random.default_rng(0)), eval_row(example, spec, 3)):
        np.testing.assert_allclose(row["teacher_depth"], -0.5, rtol=1e-6)
