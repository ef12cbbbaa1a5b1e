"""Checks what training needs: each line says ok, or what is wrong and what to do about it.

    python -m mdepth_jax.doctor [--expect gpu] [--data DIR] [--workdir DIR]

The exit status is 1 if anything is wrong.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mdepth_jax import checks, cli
from mdepth_jax.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each check; returns the exit status."""
    args = parse(argv)
    todo: dict[str, Callable[[], str]] = {
        "packages": checks.check_packages,
        "devices": partial(checks.check_devices, args.expect),
        "TensorFlow": checks.check_tensorflow,
        "memory": checks.check_memory,
        "disk": partial(checks.check_disk, args.workdir),
        "training step": checks.check_training_step,
    }
    if args.data:
        todo["data"] = partial(checks.check_data, args.data)
    wrong = [name for name, check in todo.items() if not report(name, check)]
    print(f"\nwrong: {', '.join(wrong)}" if wrong else "\nall is well")
    return 1 if wrong else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mdepth_jax.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--expect", choices=("cpu", "gpu", "tpu"), help="what JAX has to run on")
    parser.add_argument("--data", type=Path, help="folder, CSV or records to train on")
    parser.add_argument("--workdir", type=Path, default=Path("runs"), help="where runs are written (default: runs)")
    return parser.parse_args(argv)


def report(name: str, check: Callable[[], str]) -> bool:
    """Prints what a check finds, and returns whether it is well."""
    try:
        print(f"ok     {name}: {check()}", flush=True)
        return True
    except Exception as error:  # whatever goes wrong is a finding
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        print(f"WRONG  {name}: {kind}{error}", flush=True)
        return False


if __name__ == "__main__":
    cli.run(main)
