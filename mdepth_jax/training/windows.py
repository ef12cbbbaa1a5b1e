"""Windows of steps over which losses and speed are averaged, and the steps at which they end."""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping


class Clock:
    """Measures the length of a window, and the time in it spent waiting for data (an upper bound of the device's)."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._waited = 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time inside the block as waiting."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    def read(self) -> tuple[float, float]:
        """Returns the seconds since the start, and those of them spent waiting."""
        return time.perf_counter() - self._start, self._waited


def describe_window(record: Mapping[str, float]) -> str:
    """Describes a record of `metrics.jsonl` in a line for the progress bar: speed, losses and their weights."""
    names = [name.removeprefix("loss/") for name in record if name.startswith("loss/")]
    losses = (f"{name} {record[f'loss/{name}']:.3f}x{record[f'weight/{name}']:.2f}" for name in names)
    speed = f"{record['time/images_per_second']:.1f} images/s, wait {100 * record['time/data_wait']:.1f}%"
    return f"{speed}, {', '.join(losses)}"


def event_steps(steps_per_epoch: int, per_epoch: int) -> frozenset[int]:
    """Returns the steps of an epoch (1 to `steps_per_epoch`) that end one of its `per_epoch` equal parts."""
    return frozenset(math.ceil((k + 1) * steps_per_epoch / per_epoch) for k in range(per_epoch))
