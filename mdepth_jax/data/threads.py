"""Work on a sequence of items in threads, in order."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_THREADS = min(os.cpu_count() or 1, 4)  # more of them hold too many large photographs at a time


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int = _THREADS
) -> Iterator[Result]:
    """Yields the results of a function in order, computed by threads that work a little ahead."""
    pending: collections.deque[Future[Result]] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
