"""TensorFlow for reading data: restricted to the CPU, which leaves the accelerator to JAX, and silent about it."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Silences file descriptor 2, to which TensorFlow's C++ writes whatever its log level is."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


with silent_stderr():
    import tensorflow as tf

    for _kind in ("GPU", "TPU"):
        tf.config.set_visible_devices([], _kind)

__all__ = ["silent_stderr", "tf"]
