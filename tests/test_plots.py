import numpy as np
import PIL.Image
import pytest

from mdepth_jax import plots
from mdepth_jax.plots import DepthRange, Failure, Point

BRIGHTEST, DARKEST = (252, 254, 164), (0, 0, 3)


def size(path):
    with PIL.Image.open(path) as picture:
        return picture.size


def draw_depths(count, height=20, width=30):
    """Different maps, so that a swap is noticed."""
    return list(np.random.default_rng(0).normal(size=(count, height, width)).astype(np.float32))


def draw_images(count, height=20, width=30):
    return list(np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def lines_of(axis):
    """Points of each line by its label."""
    return {line.get_label(): line.get_xydata().tolist() for line in axis.lines}


def picture_of(axis):
    (picture,) = axis.images
    return picture.get_array()


def texts_of(axis):
    return {text.get_text(): text.xy for text in axis.texts}


def test_colorize_near_is_bright_and_unknown_is_gray():
    depth = np.linspace(1, 5, 100, dtype=np.float32).reshape(10, 10)
    depth[0, 1] = np.nan
    painted = plots.colorize(depth)
    brightness = painted.astype(int).sum(-1)
    assert brightness[0, 0] > brightness[5, 5] > brightness[9, 9]
    np.testing.assert_array_equal(painted[0, 1], [128, 128, 128])


def test_colors_at_the_ends_of_the_range():
    painted = plots.colorize(np.float32([[2, 6, -1, 9]]), DepthRange(2.0, 6.0))
    np.testing.assert_array_equal(painted[0], [BRIGHTEST, DARKEST, BRIGHTEST, DARKEST])


def test_colorize_within_given_limits():
    depth = np.float32([[1, 2, 3, 4]])
    painted = plots.colorize(depth, DepthRange(2.0, 3.0))
    np.testing.assert_array_equal(painted[0, 0], painted[0, 1])
    np.testing.assert_array_equal(painted[0, 2], painted[0, 3])
    assert not np.array_equal(painted[0, 1], painted[0, 2])


def test_colorize_of_nothing_and_of_a_plane():
    assert (plots.colorize(np.full((2, 3), np.nan, np.float32)) == 128).all()
    np.testing.assert_array_equal(plots.colorize(np.ones((1, 1), np.float32)), [[DARKEST]])


def test_limits_leave_out_the_extremes():
    depth = np.arange(101, dtype=np.float32)[np.newaxis]
    assert plots.depth_limits(depth) == (2, 98)
    depth[0, -1] = np.inf
    assert plots.depth_limits(depth).high < 98
    assert plots.depth_limits(np.full((1, 2), np.nan, np.float32)) == (0, 0)


def test_prediction_grid():
    """Image, prediction and reference from left to right, each in colors of its own range."""
    images, depths = np.stack(draw_images(2, 4, 6)), np.stack(draw_depths(4, 4, 6))[..., np.newaxis]
    predictions, references = depths[:2], 100 * depths[2:]
    grid = plots.prediction_grid(images, predictions, references)
    assert grid.shape == (8, 18, 3)
    for row in range(2):
        cells = np.split(grid[4 * row : 4 * row + 4], 3, axis=1)
        np.testing.assert_array_equal(cells[0], images[row])
        np.testing.assert_array_equal(cells[1], plots.colorize(predictions[row, ..., 0]))
        np.testing.assert_array_equal(cells[2], plots.colorize(references[row, ..., 0]))
    np.testing.assert_array_equal(plots.prediction_grid(images, predictions), grid[:, :12])


def test_save_curves(tmp_path, figures):
    records = [
        {"step": 10, "loss/ranking": 0.7, "loss/pairwise": 0.2, "weight/ranking": 1.0},
        {"step": 20, "loss/ranking": 0.6, "weight/ranking": 0.5},
        {"step": 20, "val/whdr": 0.3},
    ]
    plots.save_curves(tmp_path / "curves.png", records)
    assert size(tmp_path / "curves.png") == (1320, 396)
    losses, weights, scores = figures["curves.png"].axes
    assert lines_of(losses) == {"ranking": [[10, 0.7], [20, 0.6]], "pairwise": [[10, 0.2]]}
    assert lines_of(weights) == {"ranking": [[10, 1.0], [20, 0.5]]}
    assert lines_of(scores) == {"whdr": [[20, 0.3]]}
    assert (losses.get_yscale(), weights.get_yscale()) == ("log", "linear")
    plots.save_curves(tmp_path / "negative.png", [{"step": 10, "loss/holistic": -0.1}])
    assert figures["negative.png"].axes[0].get_yscale() == "linear"
    plots.save_curves(tmp_path / "nothing.png", [])
    assert size(tmp_path / "nothing.png") == (1320, 396)


def test_save_search(tmp_path, figures):
    plots.save_search(tmp_path / "tradeoff.png", [(3e6, 0.12), (2e6, 0.13)], "params", "whdr")
    assert size(tmp_path / "tradeoff.png") == (660, 440)
    (axis,) = figures["tradeoff.png"].axes
    assert list(lines_of(axis).values()) == [[[3e6, 0.12], [2e6, 0.13]]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("params", "whdr")
    assert axis.get_xlim()[0] > axis.get_xlim()[1]  # The search goes from left to right.


def test_save_tradeoff(tmp_path, figures):
    groups = {"ours": [Point("kd", 1.9, 0.12)], "published": [Point("other", 30.0, 0.14), Point("third", 5.0, 0.2)]}
    plots.save_tradeoff(tmp_path / "figure1.png", groups)
    assert size(tmp_path / "figure1.png") == (1040, 650)
    (axis,) = figures["figure1.png"].axes
    points = {drawn.get_label(): drawn.get_offsets().tolist() for drawn in axis.collections}
    assert points == {"ours": [[1.9, 0.12]], "published": [[30, 0.14], [5, 0.2]]}
    assert texts_of(axis) == {"kd": (1.9, 0.12), "other": (30, 0.14), "third": (5, 0.2)}


@pytest.mark.parametrize(("count", "expected"), [(1, (440, 330)), (5, (1760, 660))])
def test_loss_weights_have_a_panel_for_each_run(tmp_path, figures, count, expected):
    def records(number):
        steps = [{"step": step, "total": 1.0, "weight/ranking": number + step} for step in (0, 20)]
        return [*steps, {"step": 20, "val/whdr": 0}]

    plots.save_loss_weights(tmp_path / "weights.png", {f"run {number}": records(number) for number in range(count)})
    assert size(tmp_path / "weights.png") == expected
    axes = figures["weights.png"].axes
    for number, axis in enumerate(axes[:count]):
        assert axis.get_title() == f"run {number}"
        assert lines_of(axis) == {"ranking": [[0, number], [20, number + 20]]}
    assert not any(axis.axison for axis in axes[count:])


def test_a_comparison_has_a_row_for_each_image_and_a_column_for_each_network(tmp_path, figures):
    images = [*draw_images(1, 20, 30), *draw_images(1, 40, 30)]
    columns = {name: [*draw_depths(number, 20, 30)[-1:], *draw_depths(number, 40, 30)[-1:]]
               for number, name in enumerate("abc", 1)}  # fmt: skip
    plots.save_comparison(tmp_path / "grid.png", images, columns)
    assert size(tmp_path / "grid.png") == (4 * 330, 2 * 264)
    rows = np.reshape(figures["grid.png"].axes, (2, 4))
    assert [axis.get_title() for axis in rows[0]] == ["image", "a", "b", "c"]
    for index, row in enumerate(rows):
        np.testing.assert_array_equal(picture_of(row[0]), images[index])
        for axis, name in zip(row[1:], "abc", strict=True):
            np.testing.assert_array_equal(picture_of(axis), plots.colorize(columns[name][index]))


def test_save_failures(tmp_path, figures):
    images, depths = draw_images(3), draw_depths(3)
    failures = [
        Failure(3 + index, 0.4, np.array([[10, 2 + index], [4, 9]], np.int32), relation, depth)
        for index, (relation, depth) in enumerate(zip((-1, 0, 1), depths, strict=True))
    ]
    plots.save_failures(tmp_path / "failures.png", failures, images)
    assert size(tmp_path / "failures.png") == (880, 3 * 352)
    truths = "B is farther", "both are equally far", "A is farther"
    for index, row in enumerate(np.reshape(figures["failures.png"].axes, (3, 2))):
        assert [axis.get_title() for axis in row] == [
            f"image {3 + index}: {truths[index]}", "wrong by 40% of the predicted range"
        ]  # fmt: skip
        np.testing.assert_array_equal(picture_of(row[0]), images[index])
        np.testing.assert_array_equal(picture_of(row[1]), plots.colorize(depths[index]))
        for axis in row:
            assert texts_of(axis) == {"A": (2 + index, 10), "B": (9, 4)}  # (x, y)
