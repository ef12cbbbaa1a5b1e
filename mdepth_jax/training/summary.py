"""The report of a finished run: results, terms of use and the next commands."""

import pathlib
import shlex
from collections.abc import Iterable, Mapping, Sequence

from ml_collections import ConfigDict

from mdepth_jax import licenses
from mdepth_jax.data.types import Data
from mdepth_jax.files import write_text
from mdepth_jax.models import DepthNet, TrainingRun, count_macs, count_parameters
from mdepth_jax.models.score import TITLES, Score
from mdepth_jax.training import provenance, recipe
from mdepth_jax.training.evaluation import Evaluation
from mdepth_jax.training.loop import Result
from mdepth_jax.training.terms import Term


def describe_network(model: DepthNet, height: int, width: int) -> str:
    """Describes the size of a network without its intermediate heads in one line.

    Args:
        model: Network.
        height: Height of its input in pixels.
        width: Width of its input in pixels.
    """
    network = model.without_heads()
    parameters, macs = count_parameters(network), count_macs(network, height, width)
    return f"{parameters:,} parameters, {macs / 1e9:.3f} GMACs at {height}x{width} (without intermediate heads)"


def describe_recipe(config: ConfigDict, terms: Iterable[Term], earlier: Sequence[TrainingRun] = ()) -> str:
    """Describes what a run learns from and starts from, and what it lacks of the recipe of the paper that it repeats.

    Args:
        config: Configuration of the run.
        terms: Terms of the run.
        earlier: Runs that the weights have been through before, the first one first.
    """
    teacher = config.teacher
    teachers = ["cached maps"] * teacher.maps + [teacher.run] * bool(teacher.run)
    weights = provenance.describe_initial_weights(config, earlier)
    lines = [
        f"Learns from {' + '.join(term.name for term in terms)}; teacher: {' and '.join(teachers) or 'none'}; "
        f"initial weights: {weights}"
    ]
    if lacks := recipe.find_lacks([*earlier, TrainingRun(config=config.to_dict())]):
        lines += [f"Not the whole recipe of the paper: without {recipe.describe_lacks(lacks)}"]
    return "\n".join(lines)


def next_commands(workdir: pathlib.Path, config: ConfigDict) -> list[str]:
    """Lists commands that a user may want to run after training."""
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


def describe_evaluation(evaluation: Evaluation | None) -> list[str]:
    """Describes the scores of an evaluation in lines of text; None has none."""
    if evaluation is None:
        return []
    lines = []
    if evaluation.total:
        lines += [
            f"WHDR {evaluation.whdr:.4f} {_format_interval(evaluation)}(n = {evaluation.total} pairs on "
            f"{(evaluation.pairs > 0).sum()} images, {evaluation.wrong} wrong)",
            f"WHDR {evaluation.row_whdr:.4f} of the baseline that knows the image row alone",
        ]
    if evaluation.depth is not None and evaluation.maps:
        scores = (f"{TITLES[name]} {value:.4f}" for name, value in evaluation.depth.scores.items())
        lines += [f"{', '.join(scores)} (n = {evaluation.maps} depth maps)"]
    return lines


def _format_interval(evaluation: Evaluation) -> str:
    return "" if evaluation.interval is None else f"+- {evaluation.interval:.4f} (95 %, bootstrap over images) "


def describe_origin(scores: Mapping[str, Score]) -> list[str]:
    """Describes what scores were measured on: data set, split and protocol, one line for pairs and one for maps."""
    parts = {f"{score.origin}: {score.protocol}": None for score in scores.values()}
    return [f"measured on {part}" for part in parts]


def write_report(
    workdir: pathlib.Path,
    *,
    config: ConfigDict,
    result: Result,
    network: str,
    seconds: float,
    data: Data,
    terms: Sequence[Term],
    earlier: Sequence[TrainingRun] = (),
) -> str:
    """Writes `report.md` and returns its text.

    Args:
        workdir: Path of the run directory.
        config: Configuration of the run.
        result: End of the run.
        network: Size of the network, from `describe_network`.
        seconds: Time that this process trained.
        data: Data of the run.
        terms: Terms of the run.
        earlier: Runs that the weights have been through before, the first one first.
    """
    best_by = config.train.best_by
    key = f"val/{best_by}"
    scores = {record["step"]: record[key] for record in result.records if key in record}
    parts = provenance.find_licenses([*earlier, TrainingRun("", config.to_dict(), data.train_sets)])
    measured = describe_evaluation(result.evaluation)
    if result.evaluation:
        scores_of_test = provenance.score_evaluation(
            result.evaluation, config, data=data.test.info, split=data.test.split
        )
        measured += [*describe_origin(scores_of_test), "read once, at the end"]
    sections = [
        f"# {config.name}",
        network,
        describe_recipe(config, terms, earlier),
        "\n".join(["Test set:", *measured]) if measured else "",
        _describe_choice(TITLES[best_by], scores, data),
        f"{result.step} steps; {seconds / 60:.1f} minutes in this process",
        "\n".join(_table(TITLES[best_by], scores, result)) if scores else "",
        "![image, prediction, reference](predictions.png)",
        "![losses and weights](curves.png)",
        f"The network gives {provenance.describe_output(config)}.",
        "Terms of what it was trained with:",
        licenses.format_table(parts),
        "Next:",
        "\n".join(f"    {command}" for command in next_commands(workdir, config)),
    ]
    text = "\n\n".join(filter(None, sections)) + "\n"
    write_text(workdir / "report.md", text)
    return text


def _describe_choice(title: str, scores: Mapping[int, float], data: Data) -> str:
    """Describes which weights are in `model.safetensors`."""
    if data.val is None or not scores:
        return "No validation set, no choice: model.safetensors holds the last weights."
    best = min(scores, key=lambda step: scores[step])
    return (
        f"Validation set, {data.val.info.name} {data.val.split}: {title} {scores[best]:.4f} at step {best}, the best "
        f"of {len(scores)} evaluations; its weights are in model.safetensors."
    )


def _table(title: str, scores: Mapping[int, float], result: Result) -> list[str]:
    """Lists the evaluations with the weights of the losses at their steps, as a table in Markdown."""
    lines = [f"| step | {title} | weights of the losses |", "|---|---|---|"]
    return lines + [f"| {step} | {score:.4f} | {_describe_weights(result, step)} |" for step, score in scores.items()]


def _describe_weights(result: Result, step: int) -> str:
    record = next(record for record in result.records if record["step"] == step and "total" in record)
    names = [name for name in record if name.startswith("weight/")]
    return ", ".join(f"{name.removeprefix('weight/')} {record[name]:.3f}" for name in names)
