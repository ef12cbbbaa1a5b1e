"""Trains a depth network.

    python -m mdepth_jax.train --config configs/kd.py[:variant] [--workdir DIR] [--config.key=value ...]

The run directory is runs/<name of the configuration> if not given. The same command on the same directory resumes where
it was stopped. All keys with their defaults: docs/configuration.md.

Several hosts share one run directory: the same command on every one of them with

    --coordinator HOST:PORT --processes N --process 0..N-1        or --coordinator auto on Cloud TPU, SLURM, Open MPI
"""

import pathlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from absl import flags
from ml_collections import ConfigDict, config_flags

from mdepth_jax import cli
from mdepth_jax.data.loading import open_data
from mdepth_jax.errors import UserError
from mdepth_jax.training import environment, hosts, stages, summary
from mdepth_jax.training.loop import Trainer
from mdepth_jax.training.setup import build_trainer
from mdepth_jax.training.terms import wanted_maps

CONFIG = config_flags.DEFINE_config_file("config", help_string="File of the configuration, with :variant.")
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory.")
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, or auto; for several processes.")
PROCESSES = flags.DEFINE_integer("processes", 1, "Number of processes that train together.")
PROCESS = flags.DEFINE_integer("process", 0, "Number of this process, from 0.")


@dataclass(frozen=True)
class Flags:
    """Flags of the command line.

    Attributes:
        config: Configuration of a run or of a sequential training.
        workdir: Path of the run directory.
        coordinator: Address of process 0, or `auto`; None for a single process.
        processes: Number of processes that train together.
        process: Number of this process, from 0.
        keys: Dotted names of the keys of the configuration that were given.
    """

    config: ConfigDict
    workdir: pathlib.Path
    coordinator: str | None = None
    processes: int = 1
    process: int = 0
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.coordinator and (self.processes, self.process) != (1, 0):
            raise UserError(
                "`processes` and `process` need `coordinator` with HOST:PORT; without it every process trains alone"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Trains and reports, stage after stage if there are several; returns the exit status."""
    given = parse(argv)
    if given.coordinator:
        hosts.start(given.coordinator, given.processes, given.process)
    runs = stages.runs(given.config, given.workdir)
    stages.check_runs(runs, given.keys)
    for run in list(runs.values())[1:]:
        open_data(run, wanted_maps(run))  # a mistake in a later stage shows before the first one has taken days
    for directory, run in runs.items():
        if not train(run, directory):
            break
    return 0


def parse(argv: Sequence[str] | None = None) -> Flags:
    """Parses the command line.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Raises:
        UserError: For a flag or key that does not exist, a value of another type, or a flag that lacks its companion.
    """
    argv = sys.argv[1:] if argv is None else argv
    if {"--help", "-h"} & set(argv):
        print(__doc__)
        sys.exit(0)
    try:
        rest = flags.FLAGS(["mdepth_jax.train", *argv])[1:]
        config = CONFIG.value
        name = config and config.name  # a file that could not be loaded shows when it is used
    except (flags.Error, AttributeError, KeyError, OSError) as error:
        message = [line.strip() for line in str(error).strip("\"'").split("\\n")[-1].splitlines() if line.strip()]
        mistake = message[-1] if " " in message[-1] else f"there is no key {message[-1]!r}"
        raise UserError(f"{mistake} (see `help`)") from error
    if config is None:
        raise UserError("`config` is missing; try `config=configs/kd.py`")
    if rest:
        raise UserError(f"{rest[0]!r} is not a flag; keys are set by `config.key=value`")
    workdir = pathlib.Path(WORKDIR.value or f"runs/{name}")
    keys = tuple(config_flags.get_override_values(flags.FLAGS["config"]))
    return Flags(config, workdir, COORDINATOR.value, PROCESSES.value, PROCESS.value, keys)


def train(config: ConfigDict, workdir: pathlib.Path) -> bool:
    """Trains to the end, or to an interrupt, and prints the result; returns whether the run is finished.

    Args:
        config: Configuration of one run.
        workdir: Path of the run directory.
    """
    trainer = prepare(config, workdir)
    network = summary.describe_network(trainer.model, config.data.height, config.data.width)
    if hosts.is_first():
        environment.record(workdir)
        print(f"{config.name}: {network}")
        print(summary.describe_recipe(config, trainer.objective.terms, trainer.earlier))
        if trainer.step:
            print(f"Resuming at step {trainer.step} of {trainer.total_steps} in {workdir}")
    start = time.monotonic()
    result = trainer.run()
    seconds = time.monotonic() - start
    if hosts.is_first():
        if not result.finished:
            print(f"Stopped at step {result.step}; everything is saved. To resume: {environment.command()}")
        elif result.evaluation is None and (workdir / "report.md").exists():
            print(f"{workdir} was finished before; see {workdir / 'report.md'}")
        else:
            report = summary.write_report(
                workdir,
                config=config,
                result=result,
                network=network,
                seconds=seconds,
                data=trainer.data,
                terms=trainer.objective.terms,
                earlier=trainer.earlier,
            )
            print(report)
    hosts.wait_for_all(str(workdir))
    return result.finished


def prepare(config: ConfigDict, workdir: pathlib.Path) -> Trainer:
    """Opens the data of a run and builds its trainer.

    Args:
        config: Configuration of one run.
        workdir: Path of the run directory.

    Raises:
        UserError: If the configuration, the data or the run directory do not fit.
    """
    data, supervision = open_data(config, wanted_maps(config))
    return build_trainer(config, workdir, data, supervision)


if __name__ == "__main__":
    cli.run(main)
