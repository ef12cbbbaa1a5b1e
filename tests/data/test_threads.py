import threading

import pytest

from mdepth_jax.data.threads import map_in_threads
from mdepth_jax.errors import UserError


def test_threads_keep_the_order_and_do_not_run_ahead_far():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_threads(lambda number: (number, threading.current_thread()), items())
    first, thread = next(results)
    assert first == 0
    assert thread is not threading.current_thread()
    assert len(taken) <= 10
    assert [number for number, _ in results] == list(range(1, 100))


def test_threads_raise_what_the_function_raises():
    def fail(number):
        raise UserError(f"item {number}")

    with pytest.raises(UserError, match="item 3"):
        list(map_in_threads(fail, [3, 4]))
