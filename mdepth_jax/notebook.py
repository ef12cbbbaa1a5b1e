"""Runs the command lines in a notebook, whose own process leaves the accelerator alone."""

import shlex
import subprocess
import sys

from mdepth_jax.errors import UserError


def run(module: str, *arguments: object) -> None:
    """Runs `python -m MODULE ARGUMENTS...` and prints what it prints, as it comes.

    Jupyter interrupts the kernel and its commands alike. A command that saves its work then, like training, gets the
    time to do so; a second interrupt does not wait.

    Args:
        module: `mdepth_jax.train`, say.
        *arguments: Of the command line; each is turned into text.

    Raises:
        UserError: The command has failed: the last line that it printed.
        KeyboardInterrupt: It was interrupted.
    """
    command = ["-m", module, *map(str, arguments)]
    print("+", shlex.join(["python", *command]), flush=True)
    process = subprocess.Popen(
        [sys.executable, "-u", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    last = ""

    def show() -> None:
        nonlocal last
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last

    try:
        show()
    except KeyboardInterrupt:
        show()
        raise
    if process.wait():
        raise UserError(last.removeprefix("error: ") or f"{module} ended with status {process.returncode}")
