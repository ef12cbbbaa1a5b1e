"""The last page of a run: what came out, where it lies and what to do next."""

import pathlib
import shlex
from collections.abc import Sequence

from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.files import write_text
from mdepth_jax.models import DepthNet, TrainingRun, count_macs, count_parameters
from mdepth_jax.training import provenance
from mdepth_jax.training.evaluation import Evaluation
from mdepth_jax.training.loop import Result

TITLES = {"whdr": "WHDR", "rmse": "RMSE", "delta1": "delta1", "si_rmse": "SI-RMSE"}


def describe_network(model: DepthNet, height: int, width: int) -> str:
    """Gives the size of a network without its intermediate heads, in one line."""
    network = model.without_heads()
    parameters, macs = count_parameters(network), count_macs(network, height, width)
    return f"{parameters:,} parameters, {macs / 1e9:.3f} GMACs at {height}x{width} (without intermediate heads)"


def next_commands(workdir: pathlib.Path, config: ConfigDict) -> list[str]:
    """Lists what a user may want to run after training, ready to be pasted."""
    run = shlex.quote(str(workdir))
    commands = [f"python -m mdepth_jax.evaluate --model {run}", f"tensorboard --logdir {run}/tensorboard"]
    if config.data.source == "scenes":
        commands += [
            "python -m mdepth_jax.prepare scenes --output scenes     # the format of your own data, to look at",
            "python -m mdepth_jax.train --config configs/kd.py:pairs --config.data.root=YOUR_FOLDER"
            " --config.teacher.maps=False     # leave out the last flag where it holds teacher/",
        ]
    else:
        commands.append(f"python -m mdepth_jax.evaluate --model {run} --pairs YOUR.csv")
    return commands


def describe_evaluation(evaluation: Evaluation) -> list[str]:
    """Tells every score of an evaluation, one in a line."""
    lines = []
    if evaluation.total:
        lines += [
            f"WHDR {evaluation.whdr:.4f} +- {evaluation.interval:.4f} "
            f"(n = {evaluation.total} held-out pairs, {evaluation.wrong} wrong, 95 %)",
            f"WHDR {evaluation.row_whdr:.4f} of the baseline that knows the image row alone",
        ]
    if evaluation.maps:
        names = ("rmse", "delta1", "si_rmse")
        scores = (f"{TITLES[name]} {evaluation.scores[name]:.4f}" for name in names)
        lines += [f"{', '.join(scores)} (n = {evaluation.maps} depth maps)"]
    return lines


def write(
    workdir: pathlib.Path,
    config: ConfigDict,
    result: Result,
    network: str,
    seconds: float,
    earlier: Sequence[TrainingRun] = (),
) -> str:
    """Writes `report.md` and gives its text.

    Args:
        workdir: The run directory.
        config: Of the run.
        result: How the run ended.
        network: Of `describe_network`.
        seconds: That this process took for training.
        earlier: The runs that the weights have been through before, the first one first.
    """
    best_by = config.train.best_by
    key, name = f"eval/{best_by}", TITLES[best_by]
    scores = {record["step"]: record[key] for record in result.records if key in record}
    lines = [f"# {config.name}", "", network, ""]
    if scores:
        best = min(scores, key=lambda step: scores[step])
        lines += [
            f"{name} {scores[best]:.4f} at step {best}, the best evaluation; its weights are in model.safetensors"
        ]
    if result.evaluation:
        lines += describe_evaluation(result.evaluation)
    lines += ["", f"{result.step} steps; {seconds / 60:.1f} minutes in this process", ""]
    lines += [f"| step | {name} | weights of the losses |", "|---|---|---|"]
    lines += [f"| {step} | {score:.4f} | {_weights(result, step)} |" for step, score in scores.items()]
    lines += [
        "",
        "![image, prediction, reference](predictions.png)",
        "",
        "![losses and weights](curves.png)",
        "",
    ]
    parts = licenses.find_licenses([*provenance.configs_of(earlier), config])
    lines += [f"The network gives {provenance.describe_output(config)}.", ""]
    lines += ["Terms of what it was trained with:", "", licenses.format_table(parts), ""]
    lines += ["Next:", "", *(f"    {command}" for command in next_commands(workdir, config)), ""]
    text = "\n".join(lines)
    write_text(workdir / "report.md", text)
    return text


def _weights(result: Result, step: int) -> str:
    record = next(record for record in result.records if record["step"] == step and "total" in record)
    names = [name for name in record if name.startswith("weight/")]
    return ", ".join(f"{name.removeprefix('weight/')} {record[name]:.3f}" for name in names)
