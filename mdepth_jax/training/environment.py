"""The machine, the versions and the command of a run, recorded so that its result can be reproduced."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

import jax

import mdepth_jax
from mdepth_jax.files import read_json, write_json

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "tensorflow",
    "tensorflow-datasets",
    "numpy",
)


def command() -> str:
    """Returns the command line of this process in a form that can be typed again."""
    return shlex.join(["python", *sys.orig_argv[1:]])


def describe() -> dict[str, Any]:
    """Returns versions, devices, git revision and command, ready for JSON."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command(),
        "mdepth_jax": mdepth_jax.__version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "devices": [device.device_kind for device in jax.devices()],
        "processes": jax.process_count(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def record(workdir: pathlib.Path) -> None:
    """Appends the description of this process to `environment.json`, which has one entry for each start of a run.

    Args:
        workdir: Path of the run directory.
    """
    path = workdir / "environment.json"
    starts = read_json(path) if path.exists() else []
    starts = starts if isinstance(starts, list) else [starts]  # earlier versions recorded the last start alone
    write_json(path, [*starts, describe()])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Returns the commit of the checkout, with "+changes" if files differ from it; None outside a checkout."""
    root = pathlib.Path(__file__).parent
    describe_head = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        return subprocess.run(describe_head, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
