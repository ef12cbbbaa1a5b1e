"""The record of a run: `metrics.jsonl`, TensorBoard events and the progress bar."""

import json
import pathlib
import sys
from typing import Any

import numpy as np
import tensorboardX
import tqdm

from mdepth_jax.files import write_text


class Logbook:
    """Writes scalars and images of a run, and shows its progress.

    A resumed run continues the record at its checkpoint: what was written after it is dropped, because it comes again.

    Args:
        workdir: The run directory.
        step: Where the run starts or goes on.
        total_steps: Where it ends.
        writes: False on all hosts but one: the records are kept in memory, nothing is written or shown.
    """

    def __init__(self, workdir: pathlib.Path, step: int, total_steps: int, *, writes: bool = True) -> None:
        self.path, self.writes = workdir / "metrics.jsonl", writes
        self.records = [record for record in read(workdir) if record["step"] <= step]
        self._bar = tqdm.tqdm(
            total=total_steps, initial=step, unit="step", dynamic_ncols=True, smoothing=0.1, disable=not writes,
            mininterval=0.5 if sys.stderr.isatty() else 15.0,
        )  # fmt: skip
        if not writes:
            return
        rewrite(self.path, self.records)
        self._events = tensorboardX.SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Appends one record; keys become TensorBoard tags."""
        record = {"step": step, **scalars}
        self.records.append(record)
        if not self.writes:
            return
        append(self.path, record)
        for key, value in scalars.items():
            self._events.add_scalar(key, value, step)

    def image(self, step: int, tag: str, image: np.ndarray) -> None:
        """Adds an RGB image `[height, width, 3]`, uint8, to the TensorBoard events."""
        self._events.add_image(tag, image, step, dataformats="HWC")

    def advance(self, steps: int, note: str) -> None:
        """Moves the progress bar and shows a note beside it."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(steps)

    def say(self, message: str) -> None:
        """Prints a line above the progress bar."""
        if self.writes:
            self._bar.write(message, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Flushes everything."""
        self._bar.close()
        if self.writes:
            self._events.close()


def read(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the records of a run; a last line cut short by a crash is left out."""
    return read_lines(workdir / "metrics.jsonl")


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads a file of records, one a line; a last line cut short by a crash is left out, a missing file is empty."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def append(path: pathlib.Path, record: dict[str, Any]) -> None:
    """Appends a record to a file of records."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def rewrite(path: pathlib.Path, records: list[dict[str, Any]]) -> None:
    """Writes a file of records anew."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
