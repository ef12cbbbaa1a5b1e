"""Checks what training needs: each line says ok, or what is wrong and what to do about it.

    python -m mdepth_jax.doctor [--expect gpu] [--data DIR] [--workdir DIR]

The exit status is 1 if anything is wrong.
"""

import argparse
import importlib.metadata
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from packaging.requirements import Requirement

from mdepth_jax import cli
from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model
from mdepth_jax.training import step_timing
from mdepth_jax.training.config import overlay

GIGABYTE = 1e9
_NEEDED_MEMORY = 3 * GIGABYTE  # of configs/kd.py
_NEEDED_DISK = 1 * GIGABYTE  # of the checkpoints of a run


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each check; returns the exit status."""
    args = parse(argv)
    todo: dict[str, Callable[[], str]] = {
        "packages": check_packages,
        "devices": partial(check_devices, args.expect),
        "TensorFlow": check_tensorflow,
        "memory": check_memory,
        "disk": partial(check_disk, args.workdir),
        "training step": check_training_step,
    }
    if args.data:
        todo["data"] = partial(check_data, args.data)
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


def check_packages() -> str:
    """Compares what is installed with what the project asks for."""
    try:
        required = map(Requirement, importlib.metadata.requires("mdepth_jax") or [])
    except importlib.metadata.PackageNotFoundError:
        raise UserError("mdepth_jax is not installed; python -m pip install -e .") from None
    problems, versions = [], [f"Python {platform.python_version()}"]
    for requirement in required:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = "missing"
        if version == "missing" or not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement.name} is {version}, needed is {requirement}")
        elif requirement.name in ("jax", "flax", "optax", "tensorflow"):
            versions.append(f"{requirement.name} {version}")
    if problems:
        raise UserError(f"{'; '.join(problems)}; python -m pip install -e .")
    return ", ".join(versions)


def check_devices(expected: str | None) -> str:
    """Looks for an accelerator that JAX does not use: it falls back to the CPU in silence."""
    devices = jax.devices()
    found = devices[0].platform
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in devices]
    memory = f", {limits[0] / GIGABYTE:.0f} GB each" if limits[0] else ""
    described = f"{len(devices)} x {devices[0].device_kind}{memory} ({found})"
    if found == "cpu":
        there = {"gpu": shutil.which("nvidia-smi"), "tpu": any(map(os.path.exists, ("/dev/accel0", "/dev/vfio/0")))}
        expected = expected or next((kind for kind, present in there.items() if present), None)
    if expected and found != expected:
        extra = {"gpu": "pip install 'jax[cuda12]'", "tpu": "pip install 'jax[tpu]'", "cpu": "set JAX_PLATFORMS=cpu"}
        platforms = os.environ.get("JAX_PLATFORMS")
        setting = f" or unset JAX_PLATFORMS (it is {platforms!r})" if platforms and expected != "cpu" else ""
        raise UserError(f"JAX runs on {described}, not on the {expected}; {extra[expected]}{setting}")
    return described


def check_tensorflow() -> str:
    """Sees to it that TensorFlow, which reads the data, leaves the accelerator to JAX."""
    from mdepth_jax.tensorflow_cpu import tf

    others = [device.name for device in tf.config.get_visible_devices() if device.device_type != "CPU"]
    if others:
        raise UserError(f"TensorFlow holds {', '.join(others)}; import mdepth_jax before TensorFlow does any work")
    return "reads data on the CPU, sees no accelerator"


def check_memory() -> str:
    """Compares the free memory with what the smallest training takes."""
    table = Path("/proc/meminfo")
    if not table.exists():
        return "not told by this system"
    free = next(1024 * int(line.split()[1]) for line in table.read_text().splitlines() if "MemAvailable" in line)
    if free < _NEEDED_MEMORY:
        raise UserError(f"{free / GIGABYTE:.1f} GB are free, configs/kd.py takes 3; end other programs")
    return f"{free / GIGABYTE:.1f} GB free"


def check_disk(workdir: Path) -> str:
    """Writes where runs are written, and looks how much more fits there."""
    folder = next(path for path in (workdir.absolute(), *workdir.absolute().parents) if path.is_dir())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"{folder} cannot be written to ({error.strerror}); choose another --workdir") from None
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_DISK:
        raise UserError(f"{free / GIGABYTE:.2f} GB are free in {folder}, a run takes 1; choose another --workdir")
    return f"{free / GIGABYTE:.0f} GB free in {folder}"


def check_data(path: Path) -> str:
    """Reads some examples of each split, as training would."""
    from mdepth_jax.data.sources.open import find_splits, open_source

    sizes = []
    for split in find_splits(path):
        source = open_source(path, split)
        for index in np.unique(np.linspace(0, len(source) - 1, 10).astype(int)).tolist():
            source[index]
        sizes.append(f"{split} {len(source)} images, at most {source.max_pairs} pairs each")
    return f"{'; '.join(sizes)} (to read them all: python -m mdepth_jax.prepare)"


def check_training_step() -> str:
    """Makes two steps of a small network, of XLA's convolutions, which compile fastest."""
    small = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}
    config = overlay(model=small, loss={"terms": "ranking"})
    model = build_model(config.model, rngs=nnx.Rngs(0))
    model.set_attributes(implementation="lax")
    step = step_timing.training_step(model, config, step_timing.random_batch(2 * jax.device_count(), 32, 32))
    start = time.perf_counter()
    step()
    compiled = time.perf_counter()
    scalars = {name: float(value) for name, value in step().items()}
    seconds = time.perf_counter() - compiled
    broken = [name for name, value in scalars.items() if not math.isfinite(value)]
    if broken:
        raise UserError(f"{', '.join(broken)} not finite; run the tests: python -m pytest")
    return f"loss {scalars['total']:.3f}, {seconds:.3f} s (compiled in {compiled - start:.0f} s)"


if __name__ == "__main__":
    cli.run(main)
