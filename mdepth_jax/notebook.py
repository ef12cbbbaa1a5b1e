"""Running of command lines in a notebook, whose own process leaves the accelerator to them."""

import shlex
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from mdepth_jax.errors import UserError


def run(module: str, *arguments: object) -> None:
    """Runs `python -m MODULE ARGUMENTS...` and prints its output line by line.

    Jupyter interrupts the kernel and its commands alike. A command that then saves its work, as training does, has time
    to; a second interrupt does not wait.

    Args:
        module: Module to run, such as `mdepth_jax.train`.
        *arguments: Arguments of the command line, each converted to text.

    Raises:
        UserError: If the command fails; the message is the last line of its output.
        KeyboardInterrupt: If it is interrupted.
    """
    command = ["-m", module, *map(str, arguments)]
    print("+", shlex.join(["python", *command]), flush=True)
    with subprocess.Popen(
        [sys.executable, "-u", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        # Interrupts reach the main thread alone, so that the reader loses no line.
        with ThreadPoolExecutor(1) as reader:
            last = reader.submit(_show, process.stdout)
            last.exception()
    if process.returncode:
        raise UserError(last.result().removeprefix("error: ") or f"{module} ended with status {process.returncode}")


def _show(lines: Iterable[str]) -> str:
    """Prints lines and returns the last one that is not blank."""
    last = ""
    for line in lines:
        print(line, end="", flush=True)
        last = line.strip() or last
    return last
