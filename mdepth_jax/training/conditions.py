"""Conditions on which the keys of a training run are read, see `mdepth_jax.training.schema`."""

from collections.abc import Callable

from ml_collections import ConfigDict

from mdepth_jax.keys import Condition, when
from mdepth_jax.training.optimizers import OPTIMIZERS
from mdepth_jax.training.terms import TERMS, Term, planned_terms

_TERMS = ("loss.terms", "teacher.maps", "teacher.run", "without")  # keys that decide about the terms


def with_term(words: str, is_meant: Callable[[Term], bool]) -> Condition:
    """Returns the condition that a run has a term of some kind.

    Args:
        words: The kind in words.
        is_meant: Returns whether a term is of that kind.
    """
    return Condition(_TERMS, f"{words} in `loss.terms`", lambda config: any(map(is_meant, planned_terms(config))))


def weighed(name: str) -> Condition:
    """Returns the condition that the weight of a term matters: there are others, and weights are scaled to sum to 1."""
    return Condition(
        _TERMS,
        f"{name} and another term in `loss.terms`",
        lambda config: TERMS[name] in planned_terms(config) and len(planned_terms(config)) > 1,
    )


def by_optimizer(name: str) -> Condition:
    """Returns the condition that the optimizer reads a key of the group `optim`."""
    return when("optim.optimizer", *(key for key, optimizer in OPTIMIZERS.items() if name in optimizer.reads))


def _is_balanced(config: ConfigDict) -> bool:
    return config.rebalance.order != "off"


def _has_several_losses(config: ConfigDict) -> bool:
    terms = planned_terms(config)
    is_split = config.model.heads and not config.rebalance.fixed_intermediate and terms[0].loss is not None
    return len(terms) > 1 or bool(is_split)


def _runs_teacher(config: ConfigDict) -> bool:
    terms = planned_terms(config)
    reads_depth = any(term.supervision == "teacher_depth" for term in terms)
    return any(term.supervision == "teacher_features" for term in terms) or (reads_depth and not config.teacher.maps)


SCENES = when("data.source", "scenes")
FOLDER = when("data.source", "folder")
NO_VAL = Condition(("data.val",), "an empty `data.val`", lambda config: not config.data.val)
VAL_SHARE = Condition(("data.val_share",), "a positive `data.val_share`", lambda config: config.data.val_share > 0)
PAIRS = with_term("a term of pairs", lambda term: term.supervision == "pairs")
TEACHER = with_term("a term of the teacher", lambda term: term.reads_teacher)
TEACHER_DEPTH = with_term("a term of the teacher's depth", lambda term: term.supervision == "teacher_depth")
PREDICTIONS = with_term("a term of predictions", lambda term: term.loss is not None)
HOLISTIC = with_term("holistic", lambda term: term.needs_discriminator)
RUN_TEACHER = Condition(
    (*_TERMS, "teacher.maps"),
    "a term of the teacher's features in `loss.terms`, or of its depth and `teacher.maps=False`",
    _runs_teacher,
)
DEPTH_MAPS = Condition(
    ("loss.terms", "train.best_by"),
    "a term of depth maps in `loss.terms`, or `train.best_by=rmse`",
    lambda config: config.train.best_by != "whdr" or any(term.reads_depth_maps for term in planned_terms(config)),
)
SEVERAL_LOSSES = Condition(
    (*_TERMS, "model.heads", "rebalance.fixed_intermediate"), "several terms in `loss.terms`", _has_several_losses
)
BALANCED = SEVERAL_LOSSES & Condition(
    ("rebalance.order",), "an order of rebalancing in `rebalance.order`", _is_balanced
)
WEIGHTS = SEVERAL_LOSSES & Condition(
    ("optim.optimizer",),
    "an optimizer that leaves the weights alone",
    lambda config: not OPTIMIZERS[config.optim.optimizer].balances_losses,
)
EVENTS = SEVERAL_LOSSES & Condition(
    ("rebalance.order", "rebalance.weight_initialization"),
    "an order of rebalancing in `rebalance.order` or `rebalance.weight_initialization=True`",
    lambda config: _is_balanced(config) or config.rebalance.weight_initialization,
)
HEADS = Condition(("model.heads",), "intermediate heads in `model.heads`", lambda config: config.model.heads > 0)
