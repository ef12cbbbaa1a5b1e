"""What a run ran on, so that its result can be reproduced."""

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
    """Gives the command line of this process, as it can be typed again."""
    return shlex.join(["python", *sys.orig_argv[1:]])


def describe() -> dict[str, Any]:
    """Gives versions, devices, git revision and command, ready for JSON."""
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
    """Adds what `describe` gives to the list in `environment.json` of a run directory: one entry for each start."""
    path = workdir / "environment.json"
    starts = read_json(path) if path.exists() else []
    starts = starts if isinstance(starts, list) else [starts]  # earlier versions knew the last start alone
    write_json(path, [*starts, describe()])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Gives the commit of the checkout, with "+changes" if files differ from it; None outside a checkout."""
    root = pathlib.Path(__file__).parent
    command = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--abbrev=40",
        "--exclude=*",
        "--dirty=+changes",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
