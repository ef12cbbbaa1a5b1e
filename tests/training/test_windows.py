import pytest

from mdepth_jax.training.windows import Clock, describe_window, event_steps


@pytest.mark.parametrize(("steps", "per_epoch"), [(10, 1), (10, 5), (199, 5), (33, 4), (3, 5)])
def test_event_steps(steps, per_epoch):
    events = event_steps(steps, per_epoch)
    assert max(events) == steps
    assert min(events) >= 1
    assert len(events) == min(steps, per_epoch)


def test_a_window_in_one_line():
    record = {"loss/ranking": 0.25, "weight/ranking": 2.0, "time/images_per_second": 12.34, "time/data_wait": 0.015}
    assert describe_window(record) == "12.3 images/s, wait 1.5%, ranking 0.250x2.00"


def test_waiting_is_part_of_the_time():
    clock = Clock()
    with clock.waiting():
        sum(range(1000))
    seconds, waited = clock.read()
    assert 0 < waited <= seconds
