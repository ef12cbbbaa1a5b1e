import numpy as np
import pytest

from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.inference.failures import find_failures, find_worst_pair
from mdepth_jax.inference.predictor import Predictor

ROWS, COLUMNS = 20, 30


class Slopes:
    """Images that get brighter to the right, with the pair (left, right): in every second one the right is nearer."""

    max_pairs = 2
    info = DataSetInfo()
    split, teacher_meaning = "test", ""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {
            "image": np.tile(np.linspace(0, 250, COLUMNS).astype(np.uint8)[:, np.newaxis], (ROWS, 1, 3)),
            "points": np.array([[[10, 2], [10, 9 + 5 * index]], [[3, 4], [3, 5]]], np.int32),
            "relation": np.array([1 if index % 2 else -1, -1], np.int32),
        }


def test_the_worst_images_come_first():
    bright_is_far = Predictor(lambda images: images[..., 0].astype(np.float32), ROWS, COLUMNS, 3)
    failures = find_failures(bright_is_far, Slopes(), 8)
    assert [failure.image for failure in failures] == [3, 1]
    assert failures[0].depth.shape == (ROWS, COLUMNS)
    assert [failure.image for failure in find_failures(bright_is_far, Slopes(), 1)] == [3]


def test_worst_pair():
    depth = np.tile(np.arange(100, dtype=np.float32), (10, 1))
    points = np.array([[[1, 10], [1, 20]], [[2, 50], [2, 10]], [[0, 5], [0, 5]], [[0, 5], [0, 8]]], np.int32)

    def worst(*relation):
        return find_worst_pair(depth, points, np.array(relation, np.int32), image=7)

    failure = worst(1, -1, 0, 0)
    np.testing.assert_array_equal(failure.points, points[1])
    assert (failure.image, failure.relation) == (7, -1)
    assert failure.error == pytest.approx(40 / (0.96 * 99))
    assert worst(1, 1, 0, -1).relation == 1
    assert worst(-1, 1, 0, -1) is None
    np.testing.assert_array_equal(worst(-1, 1, 1, -1).points, points[2])  # a tie that should be none
    np.testing.assert_array_equal(worst(-1, 1, 0, 0).points, points[3])  # no tie, though it should be one
    assert find_worst_pair(depth, points[:0], np.zeros(0, np.int32)) is None
