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

    A resumed run continues the record at its checkpoint; later records are dropped, because they will be repeated.

    Args:
        workdir: Path of the run directory.
        step: Step at which the run starts or resumes.
        total_steps: Step at which it ends.
        writes: Whether this host writes and shows the record; otherwise it is kept in memory alone.

    Attributes:
        records: All records of `metrics.jsonl`.
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
        write_records(self.path, self.records)
        self._events = tensorboardX.SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Appends a record.

        Args:
            step: Number of steps done.
            scalars: Values by their names, which become TensorBoard tags.
        """
        record = {"step": step, **scalars}
        self.records.append(record)
        if not self.writes:
            return
        append_record(self.path, record)
        for key, value in scalars.items():
            self._events.add_scalar(key, value, step)

    def image(self, step: int, tag: str, image: np.ndarray) -> None:
        """Adds an RGB image `[height, width, 3]`, uint8, to the TensorBoard events."""
        self._events.add_image(tag, image, step, dataformats="HWC")

    def advance(self, steps: int, note: str) -> None:
        """Moves the progress bar by a number of steps and shows a note next to it."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(steps)

    def say(self, message: str) -> None:
        """Prints a line above the progress bar."""
        if self.writes:
            self._bar.write(message, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Writes out everything and ends the progress bar."""
        self._bar.close()
        if self.writes:
            self._events.close()


def read(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the records of a run; a last line cut short by a crash is left out."""
    return read_records(workdir / "metrics.jsonl")


def read_records(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads a file of records, one a line; a last line cut short by a crash is left out, a missing file is empty."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def append_record(path: pathlib.Path, record: dict[str, Any]) -> None:
    """Appends a record to a file of records."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def write_records(path: pathlib.Path, records: list[dict[str, Any]]) -> None:
    """Writes a file of records, one a line, in the place of an existing one."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
