import numpy as np
import PIL.Image
import pytest

from mdepth_jax import plots
from mdepth_jax.plots import DepthRange, Failure, Point


def size(path):
    with PIL.Image.open(path) as picture:
        return picture.size


def test_colorize_near_is_bright_and_unknown_is_gray():
    depth = np.linspace(1, 5, 100, dtype=np.float32).reshape(10, 10)
    depth[0, 1] = np.nan
    painted = plots.colorize(depth)
    brightness = painted.astype(int).sum(-1)
    assert brightness[0, 0] > brightness[5, 5] > brightness[9, 9]
    np.testing.assert_array_equal(painted[0, 1], [128, 128, 128])


def test_colorize_within_given_limits():
    depth = np.float32([[1, 2, 3, 4]])
    painted = plots.colorize(depth, DepthRange(2.0, 3.0))
    np.testing.assert_array_equal(painted[0, 0], painted[0, 1])
    np.testing.assert_array_equal(painted[0, 2], painted[0, 3])
    assert not np.array_equal(painted[0, 1], painted[0, 2])


def test_colorize_of_nothing_and_of_a_plane():
    assert (plots.colorize(np.full((2, 3), np.nan, np.float32)) == 128).all()
    assert plots.colorize(np.ones((1, 1), np.float32)).shape == (1, 1, 3)


def test_limits_leave_out_the_extremes():
    depth = np.arange(101, dtype=np.float32)[np.newaxis]
    assert plots.depth_limits(depth) == (2, 98)
    depth[0, -1] = np.inf
    assert plots.depth_limits(depth).high < 98
    assert plots.depth_limits(np.full((1, 2), np.nan, np.float32)) == (0, 0)


def test_prediction_grid():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    depth = np.random.default_rng(1).normal(size=(2, 4, 6, 1)).astype(np.float32)
    grid = plots.prediction_grid(images, depth, depth)
    assert grid.shape == (8, 18, 3)
    np.testing.assert_array_equal(grid[:4, :6], images[0])
    np.testing.assert_array_equal(grid[4:, 6:12], grid[4:, 12:])
    assert plots.prediction_grid(images, depth).shape == (8, 12, 3)


def test_save_curves(tmp_path):
    records = [
        {"step": 10, "loss/ranking": 0.7, "weight/ranking": 1.0},
        {"step": 20, "loss/ranking": 0.6, "weight/ranking": 0.5},
        {"step": 20, "eval/whdr": 0.3},
    ]
    plots.save_curves(tmp_path / "curves.png", records)
    assert size(tmp_path / "curves.png") == (1320, 396)
    plots.save_curves(tmp_path / "nothing.png", [])
    assert (tmp_path / "nothing.png").exists()


def test_save_search(tmp_path):
    plots.save_search(tmp_path / "tradeoff.png", [(3e6, 0.12), (2e6, 0.13)], "params", "whdr")
    assert size(tmp_path / "tradeoff.png") == (660, 440)


def test_save_tradeoff(tmp_path):
    plots.save_tradeoff(tmp_path / "figure1.png", {"ours": [Point("kd", 1.9, 0.12)], "published": []})
    assert size(tmp_path / "figure1.png") == (1040, 650)


@pytest.mark.parametrize(("count", "expected"), [(1, (440, 330)), (5, (1760, 660))])
def test_loss_weights_have_a_panel_for_each_run(tmp_path, count, expected):
    records = [{"step": step, "total": 1.0, "weight/ranking": 0.5} for step in (0, 20)] + [{"step": 20, "eval/whdr": 0}]
    plots.save_loss_weights(tmp_path / "weights.png", {f"run {number}": records for number in range(count)})
    assert size(tmp_path / "weights.png") == expected


def test_pictures_of_a_comparison_have_a_row_for_each_image(tmp_path):
    images = [np.zeros((20, 30, 3), np.uint8), np.zeros((40, 30, 3), np.uint8)]
    depths = [np.ones(image.shape[:2], np.float32) for image in images]
    plots.save_comparison(tmp_path / "grid.png", images, {"a": depths, "b": depths, "c": depths})
    assert size(tmp_path / "grid.png") == (4 * 330, 2 * 264)


def test_save_failures(tmp_path):
    image, depth = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.float32)
    failure = Failure(3, 0.4, np.array([[10, 2], [10, 9]], np.int32), -1, depth)
    plots.save_failures(tmp_path / "failures.png", [failure] * 2, [image] * 2)
    assert size(tmp_path / "failures.png") == (880, 2 * 352)
