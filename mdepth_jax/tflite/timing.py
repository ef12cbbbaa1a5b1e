"""Times `.tflite` files on this machine's CPU, in turn, and counts what is in them."""

import ctypes
import math
import os
import pathlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from mdepth_jax.tflite.interpreter import open_interpreter

BURST = 10  # inferences of one network before it is the next one's turn
_WARM_UP = 3
# The axes of the kernel that make one value of the output.
_SUMMED_AXES = {
    "CONV_2D": (1, 2, 3),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1,),
}


class Contents(NamedTuple):
    """What there is in a file.

    Attributes:
        parameters: Values in the kernels and biases of convolutions and of fully connected layers.
        macs: Multiply-adds of those layers for one image.
        ops: Number of operators of each kind.
        not_delegated: As `ops`, of those that the delegate leaves to TFLite's own kernels.
        partitions: Parts of the network that the delegate runs, each at one go.
    """

    parameters: int
    macs: int
    ops: dict[str, int]
    not_delegated: dict[str, int]
    partitions: int


def count_contents(interpreter: Any) -> Contents:
    """Counts what a `tf.lite.Interpreter` holds, as its delegate has parted it."""
    shapes = {tensor["index"]: tuple(tensor["shape"].tolist()) for tensor in interpreter.get_tensor_details()}
    nodes = interpreter._get_ops_details()
    ops = [node for node in nodes if node["op_name"] != "DELEGATE"]
    delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
    macs, weights = 0, dict[int, int]()
    for node in ops:
        if axes := _SUMMED_AXES.get(node["op_name"]):
            kernel, output = shapes[node["inputs"][1]], shapes[node["outputs"][0]]
            macs += math.prod(output) * math.prod(kernel[axis] for axis in axes)
            weights |= {index: math.prod(shapes[index]) for index in node["inputs"][1:].tolist() if index >= 0}
    taken = _delegated(ops, delegates)
    return Contents(
        parameters=sum(weights.values()),
        macs=macs,
        ops=dict(Counter(node["op_name"] for node in ops)),
        not_delegated=dict(Counter(node["op_name"] for node in ops if node["index"] not in taken)),
        partitions=len(delegates),
    )


def _delegated(ops: Sequence[dict[str, Any]], delegates: Sequence[dict[str, Any]]) -> set[int]:
    """The operators that lie between the inputs and the outputs of delegates."""
    makers = {tensor: node for node in ops for tensor in node["outputs"].tolist()}
    found: set[int] = set()
    for delegate in delegates:
        inputs, pending = set(delegate["inputs"].tolist()), delegate["outputs"].tolist()
        while pending:
            tensor = pending.pop()
            node = makers.get(tensor)
            if node and tensor not in inputs and node["index"] not in found:
                found.add(node["index"])
                pending += node["inputs"].tolist()
    return found


def time_in_turn(
    functions: Sequence[Callable[[], object]], rounds: int
) -> Float64[np.ndarray, "functions rounds burst"]:
    """Times functions in bursts of `BURST` calls that take turns, each after a warm-up; in milliseconds."""
    seconds = np.empty((len(functions), rounds, BURST))
    for turn in range(rounds):
        for number, function in enumerate(functions):
            for _ in range(_WARM_UP):
                function()
            for call in range(BURST):
                start = time.perf_counter()
                function()
                seconds[number, turn, call] = time.perf_counter() - start
    return seconds * 1000


def benchmark_files(paths: Sequence[pathlib.Path], threads: int, rounds: int) -> list[dict[str, Any]]:
    """Times `.tflite` files on the CPU, on noise.

    Args:
        paths: The files; of any networks.
        threads: Of each.
        rounds: Bursts of each.

    Returns:
        A row for each file: its time, `ratio`, the median over the rounds of the median of its burst over the first
        file's burst of the same round, and what is in it. `memory_mb` is by how much loading and running it for the
        first time raises the memory of the process at most; None where the system does not tell.

    Raises:
        UserError: A file is missing or not of TFLite.
    """
    interpreters, memory = [], []
    for path in paths:
        interpreter, megabytes = _with_peak_memory(partial(_load_and_run, path, threads))
        interpreters.append(interpreter)
        memory.append(megabytes)
    times = time_in_turn([interpreter.invoke for interpreter in interpreters], rounds)
    bursts = np.median(times, axis=-1)
    rows = []
    for number, (path, interpreter) in enumerate(zip(paths, interpreters, strict=True)):
        contents = count_contents(interpreter)
        image = interpreter.get_input_details()[0]
        p50, p90 = np.percentile(times[number], (50, 90)).tolist()
        rows.append(
            {
                "model": path.name,
                "input": "x".join(map(str, image["shape"].tolist())) + f" {image['dtype'].__name__}",
                "threads": threads,
                "p50_ms": p50,
                "p90_ms": p90,
                "min_ms": float(times[number].min()),
                "ratio": float(np.median(bursts[number] / bursts[0])),
                "file_mb": path.stat().st_size / 1e6,
                "memory_mb": memory[number],
                **contents._asdict(),
            }
        )
    return rows


def describe_processor() -> str:
    """Tells the processor and its cores."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = " ".join([*names[:1], platform.machine()])
    return f"{processor}, {os.cpu_count()} cores"


def describe_setting(rounds: int) -> str:
    """Tells what `benchmark_files` measures on: `describe_processor` and the number of runs."""
    return f"{describe_processor()}, {rounds} x {BURST} runs"


def time_files(paths: Sequence[pathlib.Path], threads: int, rounds: int) -> list[float]:
    """Gives the milliseconds of the fastest inference of `.tflite` files; arguments and errors of `benchmark_files`."""
    return [row["min_ms"] for row in benchmark_files(paths, threads, rounds)]


def _load_and_run(path: pathlib.Path, threads: int) -> Any:
    interpreter = open_interpreter(path, threads)
    noise = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], noise.uniform(0, 127, tensor["shape"]).astype(tensor["dtype"]))
    interpreter.invoke()
    return interpreter


def _with_peak_memory(function: Callable[[], Any]) -> tuple[Any, float | None]:
    """What a call gives, and by how many megabytes the memory of the process rises meanwhile."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # Linux then counts the peak from now on
    except OSError:
        return function(), None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)  # what was freed before would be taken again without a trace
    before = _status("VmRSS")
    result = function()
    return result, (_status("VmHWM") - before) / 1e6


def _status(key: str) -> int:
    """Gives a figure of Linux about this process, in bytes."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))
