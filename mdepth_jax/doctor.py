"""Checks what training needs: each line says ok, or what is wrong and how to correct it.

    python -m mdepth_jax.doctor [--expect gpu] [--data DIR] [--workdir DIR]

The exit status is 1 if anything is wrong.
"""

import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

_NEEDED_MEMORY = 3  # GB, for configs/kd.py
_NEEDED_DISK = 1  # GB, for the checkpoints of a run


@dataclass(frozen=True)
class Flags:
    """Flags of the command."""

    expect: str | None
    data: Path | None
    workdir: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all checks and prints their results; returns 1 if any fails."""
    flags = parse(argv)
    checks: dict[str, Callable[[], str]] = {
        "packages": check_packages,
        "devices": partial(check_devices, flags.expect),
        "TensorFlow": check_tensorflow,
        "memory": check_memory,
        "disk": partial(check_disk, flags.workdir),
        "training step": check_training_step,
    }
    if flags.data:
        checks["data"] = partial(check_data, flags.data)
    failed = [name for name, check in checks.items() if not run_check(name, check)]
    print(f"\nwrong: {', '.join(failed)}" if failed else "\nall is well")
    return 1 if failed else 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line."""
    parser = cli.make_parser("mdepth_jax.doctor", __doc__)
    parser.add_argument("--expect", choices=("cpu", "gpu", "tpu"), help="device on which JAX has to run")
    parser.add_argument("--data", type=Path, help="folder, CSV or records to train on")
    parser.add_argument("--workdir", type=Path, default=Path("runs"), help="folder of the runs (default: runs)")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


def run_check(name: str, check: Callable[[], str]) -> bool:
    """Runs a check, prints its result, and returns whether it succeeded."""
    try:
        print(f"ok     {name}: {check()}", flush=True)
        return True
    except Exception as error:  # a check may fail in any way
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        print(f"WRONG  {name}: {kind}{cli.spell_flags(error)}", flush=True)
        return False


def check_packages() -> str:
    """Compares the installed packages with the requirements of the project."""
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
            problems.append(f"{requirement.name} is {version}, required is {requirement}")
        elif requirement.name in ("jax", "flax", "optax", "tensorflow"):
            versions.append(f"{requirement.name} {version}")
    if problems:
        raise UserError(f"{'; '.join(problems)}; python -m pip install -e .")
    return ", ".join(versions)


def check_devices(expected: str | None) -> str:
    """Checks that JAX uses the accelerator: it falls back to the CPU without a message."""
    device, memory = jax.devices()[0], ""
    if limit := (device.memory_stats() or {}).get("bytes_limit"):
        memory = f", {limit / 1e9:.0f} GB each"
    described = f"{jax.device_count()} x {device.device_kind}{memory} ({device.platform})"
    if device.platform == "cpu" and not expected:
        present = {"gpu": shutil.which("nvidia-smi"), "tpu": any(map(os.path.exists, ("/dev/accel0", "/dev/vfio/0")))}
        expected = next((kind for kind, found in present.items() if found), None)
    if expected and device.platform != expected:
        cures = {"gpu": "pip install 'jax[cuda12]'", "tpu": "pip install 'jax[tpu]'", "cpu": "set JAX_PLATFORMS=cpu"}
        platforms = os.environ.get("JAX_PLATFORMS")
        setting = f" or unset JAX_PLATFORMS (it is {platforms!r})" if platforms and expected != "cpu" else ""
        raise UserError(f"JAX runs on {described}, not on the {expected}; {cures[expected]}{setting}")
    return described


def check_tensorflow() -> str:
    """Checks that TensorFlow, which reads the data, leaves the accelerator to JAX."""
    from mdepth_jax.tensorflow_cpu import tf

    others = [device.name for device in tf.config.get_visible_devices() if device.device_type != "CPU"]
    if others:
        raise UserError(f"TensorFlow holds {', '.join(others)}; import mdepth_jax before TensorFlow does any work")
    return "reads data on the CPU, sees no accelerator"


def check_memory() -> str:
    """Compares the free memory with the need of the smallest training."""
    table = Path("/proc/meminfo")
    if not table.exists():
        return "unknown on this system"
    free = next(int(line.split()[1]) * 1024 / 1e9 for line in table.read_text().splitlines() if "MemAvailable" in line)
    if free < _NEEDED_MEMORY:
        raise UserError(f"{free:.1f} GB are free, configs/kd.py needs {_NEEDED_MEMORY}; end other programs")
    return f"{free:.1f} GB free"


def check_disk(workdir: Path) -> str:
    """Checks that runs can be written and that there is space for one."""
    folder = next(path for path in (workdir.absolute(), *workdir.absolute().parents) if path.is_dir())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(f"{folder} cannot be written to ({error.strerror}); choose another `workdir`") from None
    free = shutil.disk_usage(folder).free / 1e9
    if free < _NEEDED_DISK:
        raise UserError(f"{free:.2f} GB are free in {folder}, a run needs {_NEEDED_DISK}; choose another `workdir`")
    return f"{free:.0f} GB free in {folder}"


def check_data(path: Path) -> str:
    """Reads some examples of each split like training does."""
    from mdepth_jax.data.sources.open import find_splits, open_source

    sizes = []
    for split in find_splits(path):
        source = open_source(path, split)
        for index in np.unique(np.linspace(0, len(source) - 1, 10).astype(int)).tolist():
            source[index]
        sizes.append(f"{split} {len(source)} images, at most {source.max_pairs} pairs each")
    return f"{'; '.join(sizes)} (to read them all: python -m mdepth_jax.prepare)"


def check_training_step() -> str:
    """Trains a small network for two steps, with XLA's convolutions, which compile fastest."""
    small = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}
    config = overlay(model=small, loss={"terms": "ranking"})
    model = build_model(config.model, rngs=nnx.Rngs(0))
    model.set_attributes(implementation="lax")
    step = step_timing.build_step(model, config, step_timing.random_batch(2 * jax.device_count(), 32, 32))
    start = time.perf_counter()
    step()
    compiled = time.perf_counter()
    scalars = {name: float(value) for name, value in step().items()}
    seconds = time.perf_counter() - compiled
    broken = [name for name, value in scalars.items() if not np.isfinite(value)]
    if broken:
        raise UserError(f"{', '.join(broken)} not finite; run the tests: python -m pytest")
    return f"loss {scalars['total']:.3f}, {seconds:.3f} s (compiled in {compiled - start:.0f} s)"


if __name__ == "__main__":
    cli.run(main)
