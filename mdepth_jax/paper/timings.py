"""Times of exported networks by device and delegate (Table 8)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mdepth_jax.paper import figures
from mdepth_jax.paper.runs import Run

DELEGATES = ("CPU", "GPU", "NNAPI")


def format_timings(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Formats the measured times in milliseconds, a row for each file on each device, and the paper's for its phones.

    A time is the median of the inferences, or their mean where the tool does not print one. One on a delegate that
    left the network, or a part of it, to the CPU is marked.
    """
    table: dict[tuple[str, str, str], dict[str, Any]] = {}
    devices = []
    for run in runs:
        for timing in run.timings:
            device, title = str(timing.get("setting") or "unknown device"), _title(run, timing)
            cells = table.setdefault(
                (device, title, str(timing.get("input", ""))),
                {"device": device, "": title, "input": timing.get("input", "unknown")} | dict.fromkeys(DELEGATES, ""),
            )
            delegate = timing.get("asked_for", "CPU")
            cells[delegate] = _format_time(timing, delegate)
            devices.append(device)
    return [*table.values(), *_paper_rows(devices)]


def _title(run: Run, timing: Mapping[str, Any]) -> str:
    is_own = timing.get("weights") == run.weights
    return f"{run.experiment} ({timing['model']})" if is_own else f"{timing['model']}, other weights"


def _format_time(timing: Mapping[str, Any], delegate: str) -> str:
    milliseconds = timing.get("p50_ms") or timing.get("mean_ms")
    ran_on = timing.get("ran_on", delegate)
    if milliseconds is None:
        return str(ran_on)
    return f"{milliseconds:.1f}" + ("" if ran_on == delegate else f" (on {ran_on})")


def _paper_rows(devices: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yields the paper's times on the phones that are among the devices, by the model number that Android reports."""
    known = set(devices)
    for timing in figures.TIMINGS:
        if any(device.startswith(figures.PHONES[timing.device]) for device in known):
            yield {
                "device": timing.device,
                "": f"paper: {timing.network}",
                "input": figures.TIMING_INPUT,
                **dict(zip(DELEGATES, map(str, (timing.cpu, timing.gpu, timing.nnapi)), strict=True)),
            }
