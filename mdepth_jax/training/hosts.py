"""Several processes, usually one on each host, that train one network together."""

import jax
import numpy as np
from jax.experimental import multihost_utils

from mdepth_jax.errors import UserError


def start(coordinator: str, processes: int, process: int) -> None:
    """Joins this process to the others, before anything asks JAX for its devices.

    Args:
        coordinator: `HOST:PORT` of the first process, or `auto` where JAX finds the others by itself (Cloud TPU, SLURM,
            Open MPI).
        processes: Number of processes; ignored with `auto`, like `process`.
        process: Number of this process, from 0.

    Raises:
        UserError: If the numbers do not fit, or the others cannot be reached.
    """
    try:
        if coordinator == "auto":
            jax.distributed.initialize()
            return
        if not 0 <= process < processes:
            raise UserError(f"`process` is {process}; with `processes={processes}` give 0 to {processes - 1}")
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"`coordinator={coordinator}`: the processes do not find each other ({reason}); give every one of them the "
            "same HOST:PORT of process 0 and the same `processes`, and its own `process`"
        ) from error


def is_first() -> bool:
    """Returns whether this is the process that writes the run directory and prints."""
    return jax.process_index() == 0


def any_host(flag: bool) -> bool:
    """Returns whether the flag is set on any host, so that all of them decide alike."""
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.asarray(flag)).any())


def wait_for_all(where: str) -> None:
    """Waits until every process has called this.

    Args:
        where: Name of the place in the code, the same for all.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)
