"""Stopping a run from outside without losing anything."""

import signal
import types

import jax
import numpy as np
from jax.experimental import multihost_utils


class Interrupt:
    """While it is entered, SIGTERM and the first Ctrl-C ask for a stop instead of killing the process."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Interrupt":
        self._previous = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def any_host(flag: bool) -> bool:
    """Says whether the flag is set on any host, so that all of them decide alike."""
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.asarray(flag)).any())
