"""Times of `.tflite` files on a connected Android phone, measured by `benchmark_model`, TensorFlow's own tool."""

import pathlib
import re
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mdepth_jax.errors import UserError

DELEGATES = {"CPU": "", "GPU": "--use_gpu=true", "NNAPI": "--use_nnapi=true"}
_FOLDER = "/data/local/tmp"
_TOOL = f"{_FOLDER}/benchmark_model"


@dataclass(frozen=True)
class PhoneTiming:
    """Times that `benchmark_model` reports for one run.

    Attributes:
        ran_on: Delegate that ran the network, "GPU" or "GPU in part"; "CPU" if none did, whichever was asked for.
        runs: Number of inferences after the warm-up.
        min_ms: Fastest inference.
        mean_ms: Mean over the inferences.
        p50_ms: Median; None from a tool that is older than 2024.
        p95_ms: 95th percentile; None from a tool that is older than 2024.
        memory_mb: Peak memory; None where the phone does not report it.
    """

    ran_on: str
    runs: int
    min_ms: float
    mean_ms: float
    p50_ms: float | None
    p95_ms: float | None
    memory_mb: float | None


@dataclass(frozen=True)
class DelegateResult:
    """Times of a file on a delegate of the phone, or the reason why there are none.

    Attributes:
        model: Name of the file.
        asked_for: Delegate, a key of `DELEGATES`.
        timing: Times; None if the run failed.
        error: Reason of the failure; empty if the run succeeded.
        ratio: Typical time relative to the first file on the same delegate that could be timed; None if the run failed.
    """

    model: str
    asked_for: str
    timing: PhoneTiming | None = None
    error: str = ""
    ratio: float | None = None

    def to_row(self) -> dict[str, Any]:
        """Returns the row of a table; a failed run has fewer columns."""
        row: dict[str, Any] = {"model": self.model, "asked_for": self.asked_for}
        if self.timing is None:
            return row | {"ran_on": f"failed: {self.error}"}
        return row | asdict(self.timing) | {"ratio": self.ratio}


def parse_output(text: str) -> PhoneTiming:
    """Parses the output of `benchmark_model`, of any version since 2020.

    A delegate that cannot run a network leaves it to the CPU, and the tool times that: see `PhoneTiming.ran_on`.

    Raises:
        UserError: If the tool has failed.
    """
    statistics = re.findall(r"^(?:INFO: )?count=.*$", text, re.MULTILINE)
    if len(statistics) < 2:  # one line for the warm-up, one for the inferences
        reasons = (
            re.findall(r"^ERROR: (.*)$", text, re.MULTILINE) or text.strip().splitlines() or ["it printed nothing"]
        )
        raise UserError(f"benchmark_model: {reasons[0].strip()}")
    values = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.e+]+)", statistics[-1])}
    milliseconds = {name: value / 1000 for name, value in values.items()}
    memory = re.search(r"peak memory footprint \(MB\) via periodic monitoring: ([\d.e+]+)", text)
    applied = re.search(r"Explicitly applied (\w+) delegate, .* (completely|partially) executed", text)
    return PhoneTiming(
        ran_on=applied[1] + (" in part" if applied[2] == "partially" else "") if applied else "CPU",
        runs=int(values["count"]),
        min_ms=milliseconds["min"],
        mean_ms=milliseconds["avg"],
        p50_ms=milliseconds.get("median"),
        p95_ms=milliseconds.get("p95"),
        memory_mb=float(memory[1]) if memory else None,
    )


def find_phone() -> str:
    """Returns the model of the phone that adb is connected to.

    Raises:
        UserError: If adb is not installed, or there is no phone, one that does not trust this machine, or several.
    """
    devices = re.findall(r"^(\S+)\t(\w+)", _adb("devices"), re.MULTILINE)
    if not devices:
        raise UserError("no phone is connected; plug one in with USB debugging switched on; adb devices must list it")
    for serial, state in devices:
        if state != "device":
            raise UserError(f"the phone {serial} is {state}; unlock it and allow USB debugging on its screen")
    return _adb("shell", "getprop", "ro.product.model").strip()


def benchmark_on_phone(
    paths: Sequence[pathlib.Path],
    threads: int,
    runs: int,
    tool: pathlib.Path | None = None,
    delegates: Iterable[str] = tuple(DELEGATES),
) -> list[DelegateResult]:
    """Times files on the phone's CPU, GPU and NNAPI.

    Args:
        paths: Paths of the `.tflite` files.
        threads: Number of CPU threads.
        runs: Number of inferences of each file on each delegate.
        tool: Path of `benchmark_model` for the phone; None if it is on the phone already.
        delegates: Keys of `DELEGATES`.

    Returns:
        A result for each delegate and each file; a run that fails does not end the others.

    Raises:
        UserError: If no phone is connected or the tool is missing.
    """
    _install(tool)
    copies = {f"{_FOLDER}/mdepth_jax_{number}.tflite": path for number, path in enumerate(paths)}
    for copy, path in copies.items():
        _adb("push", str(path), copy)
    results = []
    for delegate in delegates:
        reference = None
        for copy, path in copies.items():
            flags = f"--graph={copy} --num_threads={threads} --num_runs={runs} --report_peak_memory_footprint=true"
            try:
                timing = parse_output(_adb("shell", f"{_TOOL} {flags} {DELEGATES[delegate]}", check=False))
            except UserError as error:
                results.append(DelegateResult(path.name, delegate, error=str(error)))
                continue
            typical = timing.mean_ms if timing.p50_ms is None else timing.p50_ms
            reference = reference or typical
            results.append(DelegateResult(path.name, delegate, timing, ratio=typical / reference))
    _adb("shell", f"rm {' '.join(copies)}")
    return results


def time_files(paths: Sequence[pathlib.Path], threads: int, runs: int, tool: pathlib.Path | None = None) -> list[float]:
    """Times the fastest inference of files on the phone's CPU, in milliseconds; arguments of `benchmark_on_phone`.

    Raises:
        UserError: If no phone is connected, the tool is missing or a file fails.
    """
    times = []
    for result in benchmark_on_phone(paths, threads, runs, tool, ["CPU"]):
        if result.timing is None:
            raise UserError(f"{result.model} on the phone's CPU: failed: {result.error}")
        times.append(result.timing.min_ms)
    return times


def _install(tool: pathlib.Path | None) -> None:
    if tool:
        _adb("push", str(tool), _TOOL)
        _adb("shell", f"chmod +x {_TOOL}")
    elif not _adb("shell", f"ls {_TOOL}", check=False).startswith(_TOOL + "\n"):
        raise UserError(
            f"the phone has no {_TOOL}; set `tool` to the file"
            " (android_aarch64_benchmark_model, from TensorFlow Lite's page on measuring performance)"
        )


def _adb(*arguments: str, check: bool = True) -> str:
    """Runs adb and returns its output."""
    try:
        done = subprocess.run(
            ["adb", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
    except FileNotFoundError:
        raise UserError("adb is not installed; it is part of Android's platform tools (apt install adb)") from None
    if check and done.returncode:
        raise UserError(f"adb {shlex.join(arguments)}: {done.stdout.strip()}")
    return done.stdout.replace("\r\n", "\n")
