"""Timing of `.tflite` files on this machine or on a connected phone, with the same settings."""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mdepth_jax.tflite import phone, timing
from mdepth_jax.tflite.flatbuffer import read_metadata
from mdepth_jax.tflite.interpreter import open_interpreter


@dataclass(frozen=True, kw_only=True)
class Device:
    """This machine's CPU, or an Android phone that is connected with adb.

    Attributes:
        device: "here" for this machine, "adb" for the phone.
        threads: Number of CPU threads.
        rounds: Number of bursts of `timing.BURST` inferences of each file.
        tool: Path of `benchmark_model` for the phone; None if it is on the phone already.
    """

    device: Literal["here", "adb"] = "here"
    threads: int = 1
    rounds: int = 5
    tool: pathlib.Path | None = None

    def describe(self) -> str:
        """Describes the device.

        Raises:
            UserError: If no phone is connected.
        """
        name = phone.find_phone() if self.device == "adb" else timing.describe_processor()
        return f"{name}, {self.threads} threads"

    def time_files(self, paths: Sequence[pathlib.Path]) -> list[float]:
        """Times the fastest inference of each file on the CPU, in milliseconds.

        Raises:
            UserError: If a file cannot be run, or no phone is connected.
        """
        if self.device == "adb":
            return phone.time_files(paths, self.threads, self.rounds * timing.BURST, self.tool)
        return timing.time_files(paths, self.threads, self.rounds)

    def benchmark_files(self, paths: Sequence[pathlib.Path]) -> tuple[str, list[dict[str, Any]]]:
        """Times files, on a phone with all its delegates.

        Returns:
            The setting in words, and the rows of a table, each with the setting and `weights`, the SHA-256 of the file
            of weights that it was exported from; empty if unknown.

        Raises:
            UserError: If a file cannot be run, or no phone is connected.
        """
        if self.device == "here":
            setting = timing.describe_setting(self.rounds)
            rows = [result.to_row() for result in timing.benchmark_files(paths, self.threads, self.rounds)]
        else:
            interpreters = [open_interpreter(path) for path in paths]  # finds a damaged file before anything is copied
            inputs = {path.name: timing.describe_input(item) for path, item in zip(paths, interpreters, strict=True)}
            setting = self.describe()
            results = phone.benchmark_on_phone(paths, self.threads, self.rounds * timing.BURST, self.tool)
            rows = [{**result.to_row(), "input": inputs[result.model]} for result in results]
        weights = {path.name: read_metadata(path.read_bytes()).get("weights_sha256", "") for path in paths}
        return setting, [row | {"setting": setting, "weights": weights[row["model"]]} for row in rows]
