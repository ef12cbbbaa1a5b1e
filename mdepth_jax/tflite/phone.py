"""Times `.tflite` files on a connected Android phone with `benchmark_model`, TensorFlow's own tool."""

import pathlib
import re
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mdepth_jax.errors import UserError

DELEGATES = {"CPU": "", "GPU": "--use_gpu=true", "NNAPI": "--use_nnapi=true"}
_FOLDER = "/data/local/tmp"
_TOOL = f"{_FOLDER}/benchmark_model"


class PhoneTiming(NamedTuple):
    """What `benchmark_model` says of one run.

    Attributes:
        ran_on: The delegate that took the network, "GPU" or "GPU in part"; "CPU" if none did, asked for or not.
        runs: Number of inferences after the warm-up.
        min_ms: Fastest inference.
        mean_ms: Of all.
        p50_ms: Median; None from a tool that is older than 2024.
        p95_ms: As `p50_ms`.
        memory_mb: Peak memory; None where the phone does not tell.
    """

    ran_on: str
    runs: int
    min_ms: float
    mean_ms: float
    p50_ms: float | None
    p95_ms: float | None
    memory_mb: float | None


def parse_output(text: str) -> PhoneTiming:
    """Reads what `benchmark_model` prints, of any version since 2020.

    A delegate that cannot run a network leaves it to the CPU, and the tool times that: see `PhoneTiming.ran_on`.

    Raises:
        UserError: The tool has failed.
    """
    statistics = re.findall(r"^(?:INFO: )?count=.*$", text, re.MULTILINE)
    if len(statistics) < 2:  # of the warm-up and of the inferences
        reasons = (
            re.findall(r"^ERROR: (.*)$", text, re.MULTILINE) or text.strip().splitlines() or ["it printed nothing"]
        )
        raise UserError(f"benchmark_model: {reasons[0].strip()}")
    values = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.e+]+)", statistics[-1])}
    milliseconds = {name: value / 1000 for name, value in values.items()}
    memory = re.search(r"peak memory footprint \(MB\) via periodic monitoring: ([\d.e+]+)", text)
    taken = re.search(r"Explicitly applied (\w+) delegate, .* (completely|partially) executed", text)
    return PhoneTiming(
        taken[1] + (" in part" if taken[2] == "partially" else "") if taken else "CPU",
        int(values["count"]),
        milliseconds["min"],
        milliseconds["avg"],
        milliseconds.get("median"),
        milliseconds.get("p95"),
        float(memory[1]) if memory else None,
    )


def connected_phone() -> str:
    """Gives the model of the phone that adb is connected to.

    Raises:
        UserError: adb is not installed, or there is no phone, one that does not trust this machine, or several.
    """
    listed = re.findall(r"^(\S+)\t(\w+)", _adb("devices"), re.MULTILINE)
    if not listed:
        raise UserError("no phone is connected; plug one in with USB debugging switched on, `adb devices` must list it")
    for serial, state in listed:
        if state != "device":
            raise UserError(f"the phone {serial} is {state}; unlock it and allow USB debugging on its screen")
    return _adb("shell", "getprop", "ro.product.model").strip()


def benchmark_on_phone(
    paths: Sequence[pathlib.Path],
    threads: int,
    runs: int,
    tool: pathlib.Path | None = None,
    delegates: Iterable[str] = tuple(DELEGATES),
) -> list[dict[str, Any]]:
    """Times files on the phone's CPU, GPU and NNAPI.

    Args:
        paths: The `.tflite` files.
        threads: Of the CPU.
        runs: Inferences of each file on each delegate.
        tool: `benchmark_model` for the phone; None: it lies on the phone already.
        delegates: Keys of `DELEGATES`.

    Returns:
        A row for each file on each delegate; `ratio` is to the first file on the same delegate that could be timed.

    Raises:
        UserError: As `connected_phone`, or the tool is missing. What fails for one file or delegate stands in its row.
    """
    _install(tool)
    copies = {f"{_FOLDER}/mdepth_jax_{number}.tflite": path for number, path in enumerate(paths)}
    for copy, path in copies.items():
        _adb("push", str(path), copy)
    rows = []
    for delegate in delegates:
        reference = None
        for copy, path in copies.items():
            row: dict[str, Any] = {"model": path.name, "asked_for": delegate}
            flags = f"--graph={copy} --num_threads={threads} --num_runs={runs} --report_peak_memory_footprint=true"
            try:
                timing = parse_output(_adb("shell", f"{_TOOL} {flags} {DELEGATES[delegate]}", check=False))
            except UserError as error:
                rows.append(row | {"ran_on": f"failed: {error}"})
                continue
            typical = timing.mean_ms if timing.p50_ms is None else timing.p50_ms
            reference = reference or typical
            rows.append(row | timing._asdict() | {"ratio": typical / reference})
    _adb("shell", f"rm {' '.join(copies)}")
    return rows


def time_files(paths: Sequence[pathlib.Path], threads: int, runs: int, tool: pathlib.Path | None = None) -> list[float]:
    """Gives the milliseconds of the fastest inference of files on the phone's CPU.

    Raises:
        UserError: As `benchmark_on_phone`, or a file fails.
    """
    rows = benchmark_on_phone(paths, threads, runs, tool, ["CPU"])
    for row in rows:
        if "min_ms" not in row:
            raise UserError(f"{row['model']} on the phone's CPU: {row['ran_on']}")
    return [row["min_ms"] for row in rows]


def _install(tool: pathlib.Path | None) -> None:
    if tool:
        _adb("push", str(tool), _TOOL)
        _adb("shell", f"chmod +x {_TOOL}")
    elif not _adb("shell", f"ls {_TOOL}", check=False).startswith(_TOOL + "\n"):
        raise UserError(
            f"the phone has no {_TOOL}; give the file with --tool"
            " (android_aarch64_benchmark_model, from TensorFlow Lite's page on performance measurement)"
        )


def _adb(*arguments: str, check: bool = True) -> str:
    """Gives what adb prints."""
    try:
        done = subprocess.run(
            ["adb", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
    except FileNotFoundError:
        raise UserError("adb is not installed; it is part of Android's platform tools (apt install adb)") from None
    if check and done.returncode:
        raise UserError(f"adb {shlex.join(arguments)}: {done.stdout.strip()}")
    return done.stdout.replace("\r\n", "\n")
