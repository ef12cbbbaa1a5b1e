"""Narrows a trained network until it needs less than a target (NetAdapt).

python -m mdepth_jax.prune --model RUN --target_params 1.9e6 --workdir DIR [--config.key=value ...]
python -m mdepth_jax.prune --model RUN --target_latency_ms 40 --latency_table FILE.csv --workdir DIR
    where python -m mdepth_jax.benchmark layers --model RUN --output FILE.csv creates the table
python -m mdepth_jax.prune --model RUN --target_params 1.9e6 --one_shot --workdir DIR      no search: seconds

Data, losses and validation set are the run's own; --config.key=value replaces a key of its configuration:
--config.data.root=DIR where its data have moved, --config.data.val=SPLIT to judge by images that were held out
otherwise. DIR becomes an ordinary run of the narrower network; the last lines show how to fine-tune it. The same
command on the same directory resumes a search that was stopped.
"""

import ast
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mdepth_jax import cli
from mdepth_jax.errors import UserError
from mdepth_jax.pruning import setup, summary
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.training import environment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags of the command line.

    Attributes:
        model: Run to prune.
        workdir: Directory of the pruned run.
        target_params: Target for the number of parameters; None for another target, as for those that follow.
        target_macs: Target for the multiply-adds.
        target_latency_ms: Target for the latency in milliseconds.
        latency_table: Path of the latency table.
        one_shot: Whether to prune without a search.
        first_step: Share that the first iteration saves, see `netadapt.Settings` for the following ones.
        decay: Factor from one step to the next.
        short_steps: Training steps of every proposal.
        learning_rate: Learning rate of those steps.
        evaluation_batches: Number of validation batches that score a proposal.
        overrides: Keys of the run's configuration with their new values.
    """

    model: pathlib.Path
    workdir: pathlib.Path
    target_params: float | None = None
    target_macs: float | None = None
    target_latency_ms: float | None = None
    latency_table: pathlib.Path | None = None
    one_shot: bool = False
    first_step: float = Settings.first_step
    decay: float = Settings.decay
    short_steps: int = Settings.short_steps
    learning_rate: float = Settings.learning_rate
    evaluation_batches: int = Settings.evaluation_batches
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.make_settings()  # refuses values out of range

    @property
    def target(self) -> tuple[str, float]:
        """Name of the resource and the target for it."""
        targets = {"params": self.target_params, "macs": self.target_macs, "latency_ms": self.target_latency_ms}
        return next((name, amount) for name, amount in targets.items() if amount is not None)

    def make_settings(self) -> Settings:
        """Creates the settings of the search."""
        return Settings(
            budget=self.target[1],
            first_step=self.first_step,
            decay=1.0 if self.one_shot else self.decay,  # without a search no schedule can fall short of the target
            short_steps=self.short_steps,
            learning_rate=self.learning_rate,
            evaluation_batches=self.evaluation_batches,
        )

    def describe(self) -> dict[str, str]:
        """Returns the flags as text by name, without the keys of the configuration."""
        return {key: str(value) for key, value in vars(self).items() if key != "overrides"}


def main(argv: Sequence[str] | None = None) -> int:
    """Prunes and prints the summary; returns the exit status."""
    flags = parse(argv)
    task = setup.load_task(
        flags.model,
        resource=flags.target[0],
        settings=flags.make_settings(),
        overrides=flags.overrides,
        latency_table=flags.latency_table,
    )
    if flags.one_shot:
        print(setup.prune_in_one_shot(task, flags.workdir, flags.describe()))
        return 0
    search = setup.make_search(task, flags.workdir, flags.describe())
    finished = search.run()
    text = summary.write_search_summary(search)
    stopped = f"Stopped after iteration {search.iteration}; everything is saved. To continue: {environment.command()}"
    print(text if finished else stopped)
    return 0


def parse(argv: Sequence[str] | None) -> Flags:
    """Parses the command line; `--config.KEY=VALUE` may stand anywhere."""
    arguments = sys.argv[1:] if argv is None else argv
    rest = [argument for argument in arguments if not argument.startswith("--config.")]
    overrides = dict(_parse_override(argument) for argument in arguments if argument not in rest)
    parser = cli.make_parser("mdepth_jax.prune", __doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="run directory, .safetensors or 'embedded'")
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="directory of the pruned run")
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--target_params", type=float, metavar="N", help="number of parameters")
    targets.add_argument("--target_macs", type=float, metavar="N", help="multiply-adds at the run's image size")
    targets.add_argument("--target_latency_ms", type=float, metavar="MS", help="sum of the layers in --latency_table")
    parser.add_argument("--latency_table", type=pathlib.Path,
                        help="CSV with the columns operation (conv, depthwise, upsampled_depthwise), kernel, stride, "
                        "height, width (of the output), in_channels, out_channels, ms")  # fmt: skip
    parser.add_argument("--one_shot", action="store_true", help="no search: the same share of every group of channels")
    settings = {
        "first_step": "share that the first iteration saves",
        "decay": "factor from one iteration's step to the next",
        "short_steps": "training steps of every proposal",
        "learning_rate": "learning rate of those steps",
        "evaluation_batches": "validation batches that score a proposal; 0 for all",
    }
    for name, text in settings.items():
        default = getattr(Settings, name)
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{text} (default: %(default)s)")
    parser.set_defaults(flags=functools.partial(Flags, overrides=overrides))
    return cli.parse(parser, rest)


def _parse_override(argument: str) -> tuple[str, Any]:
    key, equals, value = argument.removeprefix("--config.").partition("=")
    if not equals:
        raise UserError(f"`config.{key}` has no value; give `config.{key}=VALUE`")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


if __name__ == "__main__":
    cli.run(main)
