import numpy as np
import PIL.Image

from mdepth_jax import plots


def test_colorize_near_is_bright_and_unknown_is_gray():
    depth = np.linspace(1, 5, 100, dtype=np.float32).reshape(10, 10)
    depth[0, 1] = np.nan
    painted = plots.colorize(depth)
    brightness = painted.astype(int).sum(-1)
    assert brightness[0, 0] > brightness[5, 5] > brightness[9, 9]
    np.testing.assert_array_equal(painted[0, 1], [128, 128, 128])


def test_colorize_of_nothing_and_of_a_plane():
    assert (plots.colorize(np.full((2, 3), np.nan, np.float32)) == 128).all()
    assert plots.colorize(np.ones((1, 1), np.float32)).shape == (1, 1, 3)


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
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > 1000
    plots.save_curves(tmp_path / "nothing.png", [])
    assert (tmp_path / "nothing.png").exists()


def test_save_search(tmp_path):
    plots.save_search(tmp_path / "tradeoff.png", [(3e6, 0.12), (2e6, 0.13)], "params", "whdr")
    with PIL.Image.open(tmp_path / "tradeoff.png") as picture:
        assert picture.size[0] > 500
