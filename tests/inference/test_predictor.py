import threading

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.inference.predictor import Predictor, RunningLimits, in_threads, make_picture, predict_in_batches


@pytest.fixture
def predictor():
    """Predicts the red channel, and keeps the shape of every batch."""
    shapes = []

    def predict(images):
        shapes.append(images.shape)
        return images[..., 0].astype(np.float32)

    return Predictor(predict, 4, 6, 3, "depth"), shapes


def test_batches_have_one_shape_and_keep_the_order(predictor):
    predictor, shapes = predictor
    images = [np.full((5 + number, 9, 3), 10 * number, np.uint8) for number in range(7)]
    pictures = [make_picture(str(number), image, predictor, keep=False) for number, image in enumerate(images)]
    result = list(predict_in_batches(predictor, pictures))
    assert [picture.name for picture, _ in result] == [str(number) for number in range(7)]
    for number, (picture, depth) in enumerate(result):
        assert picture.size == (5 + number, 9)
        np.testing.assert_array_equal(depth, np.full((4, 6), 10 * number))
    assert shapes == [(3, 4, 6, 3)] * 3
    assert list(predict_in_batches(predictor, [])) == []


def test_in_threads_keeps_the_order_and_does_not_run_ahead_far():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_threads(lambda number: (number, threading.current_thread()), items())
    first, thread = next(results)
    assert first == 0
    assert thread is not threading.current_thread()
    assert len(taken) <= 10
    assert [number for number, _ in results] == list(range(1, 100))


def test_in_threads_raises_what_the_function_raises():
    def fail(number):
        raise UserError(f"item {number}")

    with pytest.raises(UserError, match="item 3"):
        list(in_threads(fail, [3, 4]))


def test_running_limits_follow_slowly():
    limits = RunningLimits()
    assert limits.update((1.0, 5.0)) == (1, 5)
    rng = np.random.default_rng(0)
    noisy = [(1 + jump, 5 + jump) for jump in rng.normal(size=200)]
    painted = np.array([limits.update(frame) for frame in noisy])
    assert np.abs(np.diff(painted[:, 0])).mean() < 0.1 * np.abs(np.diff([low for low, _ in noisy])).mean()
    for _ in range(200):
        last = limits.update((3.0, 9.0))
    assert last == pytest.approx((3, 9), abs=1e-3)
