"""Trains a depth network.

    python -m mdepth_jax.train --config configs/kd.py[:variant] [--workdir DIR] [--config.key=value ...]

The run directory is runs/<name of the configuration> if not given. The same command on the same directory goes on where
it stopped. All keys with their defaults: docs/configuration.md.

Several hosts share one run directory: the same command on every one of them with

    --coordinator HOST:PORT --processes N --process 0..N-1        or --coordinator auto on Cloud TPU, SLURM, Open MPI
"""

import pathlib
import sys
import time
from collections.abc import Sequence

from absl import flags
from flax import nnx
from ml_collections import ConfigDict, config_flags

from mdepth_jax import cli
from mdepth_jax.data.loading import open_data
from mdepth_jax.errors import UserError
from mdepth_jax.models import TrainingRun, build_model, load_pretrained, load_weights, start_from
from mdepth_jax.training import environment, hosts, stages, summary
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.loop import Trainer
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.teacher import open_teacher
from mdepth_jax.training.terms import wanted_maps

CONFIG = config_flags.DEFINE_config_file("config", help_string="File of the configuration, with :variant.")
WORKDIR = flags.DEFINE_string("workdir", None, "Run directory.")
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, or auto; for several processes.")
PROCESSES = flags.DEFINE_integer("processes", 1, "Number of processes that train together.")
PROCESS = flags.DEFINE_integer("process", 0, "Number of this process, from 0.")


def main(argv: Sequence[str]) -> int:
    """Trains and reports, stage after stage if there are several; returns the exit status."""
    config, workdir = parse(argv)
    if COORDINATOR.value:
        hosts.start(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    runs = stages.runs(config, workdir)
    for directory, run in runs.items():
        try:
            check_config(run)
        except UserError as error:
            if len(runs) == 1:
                raise
            raise UserError(
                f"stage {directory.name}, whose keys are --config.stages.{directory.name}.*: {error}"
            ) from error
    for run in list(runs.values())[1:]:
        open_data(run, wanted_maps(run))  # a mistake in a later stage shows before the first one has taken days
    for directory, run in runs.items():
        if not train(run, directory):
            break
    return 0


def train(config: ConfigDict, workdir: pathlib.Path) -> bool:
    """Trains to the end, or to an interrupt, and tells how it went; returns whether it is finished."""
    trainer, network = prepare(config, workdir)
    if hosts.is_first():
        print(f"{config.name}: {network}")
        if trainer.step:
            print(f"Going on at step {trainer.step} of {trainer.total_steps} in {workdir}")
    start = time.monotonic()
    result = trainer.run()
    if hosts.is_first():
        if not result.finished:
            print(f"Stopped at step {result.step}; everything is saved. To go on: {environment.command()}")
        elif result.evaluation is None and (workdir / "report.md").exists():
            print(f"{workdir} was finished before; see {workdir / 'report.md'}")
        else:
            print(summary.write(workdir, config, result, network, time.monotonic() - start, trainer.earlier))
    hosts.wait_for_all(str(workdir))
    return result.finished


def parse(argv: Sequence[str]) -> tuple[ConfigDict, pathlib.Path]:
    """Reads the configuration and the run directory from the command line.

    Raises:
        UserError: For a flag or key that does not exist, a value of another type, or a flag that lacks its companion.
    """
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
        raise UserError(f"{mistake} (see --help)") from error
    if config is None:
        raise UserError("--config is missing; try --config configs/kd.py")
    if rest:
        raise UserError(f"{rest[0]!r} is no flag; keys are given as --config.key=value")
    if not COORDINATOR.value and (PROCESSES.value, PROCESS.value) != (1, 0):
        raise UserError("--processes and --process need --coordinator HOST:PORT; without it every process trains alone")
    return config, pathlib.Path(WORKDIR.value or f"runs/{name}")


def prepare(config: ConfigDict, workdir: pathlib.Path) -> tuple[Trainer, str]:
    """Builds everything that a configuration describes, and writes it down in the run directory.

    Returns:
        The trainer, at its last checkpoint if there is one, and the size of the network in words.
    """
    data, supervision = open_data(config, wanted_maps(config))
    objective = make_objective(config, supervision)
    if config.model.start and not config.model.widths:  # a pruned network brings its own
        config.model.widths = load_weights(pathlib.Path(config.model.start)).config.widths
    model = build_model(config.model, rngs=nnx.Rngs(config.seed))
    earlier: tuple[TrainingRun, ...] = ()
    if config.model.start:
        earlier = start_from(model, pathlib.Path(config.model.start)).lineage
    elif config.model.pretrained:
        load_pretrained(model, config.model.pretrained)
    network = summary.describe_network(model, config.data.height, config.data.width)
    adversary = None
    if objective.needs_discriminator:
        adversary = Adversary(config.discriminator, rngs=nnx.Rngs(config.seed + 1))
    trainer = Trainer(config, workdir, model, objective, data, open_teacher(config), adversary, earlier)
    if hosts.is_first():
        environment.record(workdir)
    return trainer, network


if __name__ == "__main__":
    cli.run(main)
