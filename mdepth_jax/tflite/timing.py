"""Times of `.tflite` files on this machine's CPU, measured in turn, and the operators in them."""

import ctypes
import math
import os
import pathlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64

from mdepth_jax.tflite.interpreter import open_interpreter

BURST = 10  # inferences of one network before the next network's turn
_WARM_UP = 3
# Axes of the kernel that are summed over for one output value.
_SUMMED_AXES = {
    "CONV_2D": (1, 2, 3),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1,),
}
_PROCESS = pathlib.Path("/proc/self")  # Linux alone has it


@dataclass(frozen=True)
class GraphSummary:
    """Size and operators of a `.tflite` file.

    Attributes:
        parameters: Number of values in the kernels and biases of convolutions and fully connected layers.
        macs: Multiply-adds of those layers for one image.
        ops: Number of operators of each kind.
        not_delegated: Number of operators of each kind that the delegate leaves to TFLite's own kernels.
        partitions: Number of partitions of the graph that the delegate runs.
    """

    parameters: int
    macs: int
    ops: Mapping[str, int]
    not_delegated: Mapping[str, int]
    partitions: int


@dataclass(frozen=True)
class FileTiming:
    """Times of a `.tflite` file.

    Attributes:
        model: Name of the file.
        input: Shape and type of the input, such as "1x224x448x3 float32".
        threads: Number of CPU threads.
        p50_ms: Median time of an inference.
        p90_ms: 90th percentile.
        min_ms: Fastest inference.
        ratio: Median over the rounds of the median of a burst, relative to the first file's burst of the same round.
        file_mb: Size of the file.
        memory_mb: Rise of the process's peak memory by loading the file and its first inference; None where the system
            does not report it.
        graph: Size and operators.
    """

    model: str
    input: str
    threads: int
    p50_ms: float
    p90_ms: float
    min_ms: float
    ratio: float
    file_mb: float
    memory_mb: float | None
    graph: GraphSummary

    def to_row(self) -> dict[str, Any]:
        """Returns the row of a table, with the columns of the graph among the others."""
        row = asdict(self)
        return row | row.pop("graph")


def summarize_graph(interpreter: Any) -> GraphSummary:
    """Counts the operators and weights of a `tf.lite.Interpreter`, as its delegate has partitioned the graph."""
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
    delegated = _find_delegated(ops, delegates)
    return GraphSummary(
        parameters=sum(weights.values()),
        macs=macs,
        ops=dict(Counter(node["op_name"] for node in ops)),
        not_delegated=dict(Counter(node["op_name"] for node in ops if node["index"] not in delegated)),
        partitions=len(delegates),
    )


def _find_delegated(ops: Sequence[dict[str, Any]], delegates: Sequence[dict[str, Any]]) -> set[int]:
    """Finds the operators between the inputs and the outputs of delegates, by index."""
    producers = {tensor: node for node in ops for tensor in node["outputs"].tolist()}
    found: set[int] = set()
    for delegate in delegates:
        inputs, pending = set(delegate["inputs"].tolist()), delegate["outputs"].tolist()
        while pending:
            tensor = pending.pop()
            node = producers.get(tensor)
            if node and tensor not in inputs and node["index"] not in found:
                found.add(node["index"])
                pending += node["inputs"].tolist()
    return found


def time_in_turn(
    functions: Sequence[Callable[[], object]], rounds: int
) -> Float64[np.ndarray, "functions rounds burst"]:
    """Times functions in bursts of `BURST` calls, which take turns and follow a warm-up; in milliseconds."""
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


def benchmark_files(paths: Sequence[pathlib.Path], threads: int, rounds: int) -> list[FileTiming]:
    """Times `.tflite` files on the CPU, with noise as the input.

    Args:
        paths: Paths of the files.
        threads: Number of CPU threads of each.
        rounds: Number of bursts of each.

    Returns:
        The times of the files in order.

    Raises:
        UserError: If a file is missing or not a `.tflite` file.
    """
    interpreters, memory = [], []
    for path in paths:
        interpreter, megabytes = _measure_peak_memory(partial(_load_and_run, path, threads))
        interpreters.append(interpreter)
        memory.append(megabytes)
    times = time_in_turn([interpreter.invoke for interpreter in interpreters], rounds)
    bursts = np.median(times, axis=-1)
    results = []
    for number, (path, interpreter) in enumerate(zip(paths, interpreters, strict=True)):
        p50, p90 = np.percentile(times[number], (50, 90)).tolist()
        results.append(
            FileTiming(
                model=path.name,
                input=describe_input(interpreter),
                threads=threads,
                p50_ms=p50,
                p90_ms=p90,
                min_ms=float(times[number].min()),
                ratio=float(np.median(bursts[number] / bursts[0])),
                file_mb=path.stat().st_size / 1e6,
                memory_mb=memory[number],
                graph=summarize_graph(interpreter),
            )
        )
    return results


def describe_input(interpreter: Any) -> str:
    """Describes shape and type of the input of a `tf.lite.Interpreter`, such as "1x224x448x3 uint8"."""
    image = interpreter.get_input_details()[0]
    return "x".join(map(str, image["shape"].tolist())) + f" {image['dtype'].__name__}"


def time_files(paths: Sequence[pathlib.Path], threads: int, rounds: int) -> list[float]:
    """Times the fastest inference of `.tflite` files in milliseconds; arguments and errors of `benchmark_files`."""
    return [timing.min_ms for timing in benchmark_files(paths, threads, rounds)]


def describe_processor() -> str:
    """Describes this machine's processor and its number of cores."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = " ".join([*names[:1], platform.machine()])
    return f"{processor}, {os.cpu_count()} cores"


def describe_setting(rounds: int) -> str:
    """Describes where and how often `benchmark_files` times a file."""
    return f"{describe_processor()}, {rounds} x {BURST} runs"


def _load_and_run(path: pathlib.Path, threads: int) -> Any:
    interpreter = open_interpreter(path, threads)
    noise = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], noise.uniform(0, 127, tensor["shape"]).astype(tensor["dtype"]))
    interpreter.invoke()
    return interpreter


def _measure_peak_memory(function: Callable[[], Any]) -> tuple[Any, float | None]:
    """Calls a function; returns its result and the rise of this process's peak memory in megabytes."""
    try:
        (_PROCESS / "clear_refs").write_text("5")  # resets the peak
    except OSError:
        return function(), None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)  # memory that was freed earlier would be reused without a trace
    before = _read_memory("VmRSS")
    result = function()
    return result, (_read_memory("VmHWM") - before) / 1e6


def _read_memory(key: str) -> int:
    """Reads a figure of this process's memory, in bytes."""
    lines = (_PROCESS / "status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))
