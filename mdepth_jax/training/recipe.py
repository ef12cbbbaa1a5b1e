"""The recipe of the paper that a configuration repeats: what it needs, and what a run of it lacked.

A configuration that repeats a row of the paper names its loss terms and `pretrained` in the key `needs`. The key
`without` gives up the teacher or the pretrained weights.
"""

from collections.abc import Collection, Iterable, Sequence

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.models import TrainingRun
from mdepth_jax.training.config import drop_unread
from mdepth_jax.training.run_directory import complete_config
from mdepth_jax.training.terms import TERMS, parse_terms, planned_terms

PRETRAINED, TEACHER = "pretrained", "teacher"


def settle_config(config: ConfigDict, given: Collection[str] = (), changed: Collection[str] = ()) -> None:
    """Leaves out the terms of a teacher that is given up, and values of a file that the command line makes useless.

    Args:
        config: Complete configuration of one run; it is modified.
        given: Dotted names of the keys that were given on the command line.
        changed: Dotted names of the keys that a program has changed.

    Raises:
        UserError: If nothing reads a value that was given, or one of a file that cannot be used with that file.
    """
    changed = {*given, *changed}
    if TEACHER in _split(config, "without"):
        _leave_out_teacher(config, is_given="without" in given)
        changed.add("loss.terms")
    drop_unread(config, given, changed)


def _leave_out_teacher(config: ConfigDict, *, is_given: bool) -> None:
    terms = parse_terms(config.loss.terms)
    kept = [term.name for term in terms if not term.reads_teacher]
    needed = {term.name for term in terms} | set(_split(config, "needs"))
    if is_given and not any(TERMS[name].reads_teacher for name in needed & TERMS.keys()):
        raise UserError("`config.without` names the teacher, which this configuration has no use for; leave it out")
    if not kept:
        raise UserError(
            f"`config.without` leaves nothing to learn from: all of `config.loss.terms={config.loss.terms}` need the "
            "teacher; give one: `config.teacher.run=DIR`"
        )
    config.loss.terms = "+".join(kept)


def check_recipe(config: ConfigDict) -> None:
    """Checks that a run has the teacher of its terms and the pretrained weights of its recipe.

    Args:
        config: Complete configuration of one run.

    Raises:
        UserError: If it lacks one of them, or a word of `needs` or `without` is unknown.
    """
    needs, without = _split(config, "needs"), _split(config, "without")
    model = config.model
    if PRETRAINED in without and model.pretrained:
        raise UserError(
            f"`config.without` gives up the pretrained weights, but `config.model.pretrained` is {model.pretrained!r}; "
            "leave out one of them"
        )
    mistakes = [] if config.loss.terms == "auto" else _find_missing_teacher(config, needs)
    if PRETRAINED in needs and PRETRAINED not in without and not (model.pretrained or model.start or model.widths):
        mistakes.append(
            f"{config.name} repeats a recipe that starts from ImageNet weights of {model.encoder}: give them by "
            f"`config.model.pretrained=FILE`, or train without: `config.without={PRETRAINED}`"
        )
    if mistakes:
        raise UserError("; ".join(mistakes))


def _find_missing_teacher(config: ConfigDict, needs: Sequence[str]) -> list[str]:
    terms, teacher = parse_terms(config.loss.terms), config.teacher
    has = {"teacher_depth": teacher.maps or teacher.run, "teacher_features": teacher.run}
    lacking = [term for term in terms if term.reads_teacher and not has[term.supervision]]
    if not lacking:
        return []
    hardest = next((term for term in lacking if term.supervision == "teacher_features"), lacking[0])
    others = "+".join(term.name for term in terms if term not in lacking)
    ways = [f", or leave out what lacks it: `config.loss.terms={others}`"] if others else []
    if set(needs) & TERMS.keys() and not all(term.reads_teacher for term in terms):
        ways.append(f", or train without a teacher: `config.without={TEACHER}`")
    return [f"`config.loss.terms`: {hardest.name!r} needs {hardest.remedy}" + "".join(ways)]


def find_lacks(runs: Sequence[TrainingRun]) -> tuple[str, ...]:
    """Finds what weights lack of the recipes that their runs repeat: names of terms, and `pretrained`.

    Args:
        runs: Runs that the weights went through, the first one first; one without its configuration lacks nothing.

    Raises:
        UserError: If a configuration has keys that this version does not know.
    """
    configs = [complete_config(run.config, "the header of the weights") if run.config else None for run in runs]
    lacks: dict[str, None] = {}
    for config in filter(None, configs):
        terms = [term.name for term in planned_terms(config)]
        lacks |= dict.fromkeys(name for name in _split(config, "needs") if name in TERMS and name not in terms)
    first = configs[0].model if configs and configs[0] else None
    needs_weights = any(PRETRAINED in _split(config, "needs") for config in filter(None, configs))
    if needs_weights and first and not (first.pretrained or first.start or first.widths):
        lacks[PRETRAINED] = None
    return tuple(lacks)


def describe_lacks(lacks: Iterable[str]) -> str:
    """Describes what a run lacks of its recipe in words, after "without"; empty for nothing."""
    return ", ".join("pretrained weights" if name == PRETRAINED else name for name in lacks)


def _split(config: ConfigDict, key: str) -> tuple[str, ...]:
    """Returns the words of `needs` or `without`."""
    words = tuple(filter(None, config[key].split("+")))
    known = (*TERMS, PRETRAINED) if key == "needs" else (TEACHER, PRETRAINED)
    for word in words:
        if word not in known:
            raise UserError(f"`config.{key}`: {word!r} is unknown; choose from {', '.join(known)}, joined by +")
    return words
