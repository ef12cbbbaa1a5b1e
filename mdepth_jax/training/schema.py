"""Every key of a training run: default, meaning and allowed values.

`python -m mdepth_jax.training.schema` prints them as `docs/configuration.md`.
"""

import itertools
from collections.abc import Mapping
from typing import Any, get_args

from mdepth_jax.data import augment
from mdepth_jax.data.crops import CROPS
from mdepth_jax.keys import Key, when
from mdepth_jax.models.depth_net import KEYS as MODEL_KEYS
from mdepth_jax.training import conditions as on
from mdepth_jax.training.optimizers import OPTIMIZERS, ORDERS, SCHEDULES
from mdepth_jax.training.terms import TERMS

_DATA = {
    "source": Key("folder", "Embedded scenes, or a data set of your own.", ("scenes", "folder")),
    "root": Key("", "Folder of the data set, raw or prepared.", read_if=on.FOLDER),
    "train": Key(
        "train",
        "Training split: `pairs_SPLIT.csv`, `SPLIT.csv` or records in the root; or path of a CSV.",
        read_if=on.FOLDER,
    ),
    "val": Key(
        "",
        "Validation split, likewise: it chooses the best weights; empty: a part of the training images.",
        read_if=on.FOLDER,
    ),
    "val_share": Key(
        0.1,
        "Share of the training images held out as validation set; 0: none, the last weights are kept.",
        at_least=0,
        below=1,
        read_if=on.NO_VAL,
    ),
    "val_seed": Key(
        0,
        "Seed of the choice of these images, the same in all stages of a training.",
        at_least=0,
        read_if=on.NO_VAL & on.VAL_SHARE,
    ),
    "eval": Key("test", "Test split, likewise; read once, at the end.", read_if=on.FOLDER),
    "unlabelled": Key(
        "",
        "Folder with `images/` and, for cached maps, `teacher/`, without pairs, for the terms of the teacher.",
        read_if=on.FOLDER & on.TEACHER,
    ),
    "count": Key(0, "Number of training images.", at_least=0, read_if=on.SCENES),
    "eval_count": Key(0, "Number of test images.", at_least=0, read_if=on.SCENES),
    "height": Key(224, "Height of the network's input in pixels.", above=0),
    "width": Key(448, "Width of the network's input in pixels.", above=0),
    "batch_size": Key(4, "Batch size of all devices together.", above=0),
    "pairs": Key(
        0,
        "Pairs of an image in training, drawn anew each time; 0: all that it has.",
        at_least=0,
        read_if=on.PAIRS & when("data.sampled_pairs", 0),
    ),
    "sampled_pairs": Key(
        0, "Pairs drawn from the depth map in each step instead of labeled pairs.", at_least=0, read_if=on.PAIRS
    ),
    "eval_pairs": Key(1, "Pairs of a validation or test image.", above=0, read_if=on.SCENES),
    "scale": Key(1.0, "Augmentation: largest enlargement; depth is divided by it.", at_least=1),
    "rotation": Key(0.0, "Augmentation: largest angle in degrees.", at_least=0, at_most=180),
    "crop": Key(
        "none",
        "Cut to the input's aspect ratio, or stretch; depth maps are scored in the center, pairs on whole images.",
        get_args(augment.CropMode),
    ),
    "flip": Key(False, "Augmentation: mirror half of the images."),
    "jitter": Key(0.0, "Augmentation: strength of the color jitter.", at_least=0, at_most=1),
    "map_scale": Key(
        0.0,
        "Unit of the codes of a cached teacher map; 0: that of `teacher/about.json`, else 0.001.",
        at_least=0,
        read_if=on.FOLDER & when("teacher.maps", True),
    ),
    "depth_scale": Key(0.001, "Unit of the codes of a depth map.", above=0, read_if=on.FOLDER & on.DEPTH_MAPS),
    "eval_crop": Key(
        "none",
        "Pixels of a depth map that are scored: all, or NYUv2's usual crop.",
        tuple(CROPS),
        read_if=on.DEPTH_MAPS,
    ),
    "log": Key(0.0, "Predict this factor times the logarithm of depth; 0: depth itself.", at_least=0),
}
_TEACHER = {
    "maps": Key(
        False,
        "Read cached maps of a teacher, for the terms of its depth (`pixelwise`, `affine`, ...).",
        read_if=on.FOLDER & on.TEACHER_DEPTH,
    ),
    "run": Key(
        "",
        "Teacher that runs in training: `embedded`, a run directory or a file; adds its features.",
        read_if=on.RUN_TEACHER,
    ),
    "inverted": Key(
        False,
        "The teacher's depth, of maps or of a run, is larger where nearer; it is negated.",
        read_if=on.TEACHER_DEPTH,
    ),
}
_LOSS = {
    "terms": Key("auto", "Terms joined by `+`; `auto`: ranking and all that the teacher allows."),
    **{
        f"weights.{term.name}": Key(
            term.weight, f"Initial weight: {term.description}", at_least=0, read_if=on.weighed(term.name)
        )
        for term in TERMS.values()
    },
    "pool_scale": Key(
        0.5,
        "Side of a node as a share of the feature map.",
        at_least=0,
        at_most=1,
        read_if=on.with_term("pairwise", lambda term: term.name == "pairwise"),
    ),
    "drop_easy": Key(
        0.0,
        "Share of the unequal pairs, the easiest, that is left out.",
        at_least=0,
        below=1,
        read_if=on.with_term("improved_ranking", lambda term: term.name == "improved_ranking"),
    ),
    "trim": Key(
        0.0,
        "Share of the pixels of an image, those with the largest errors, that is left out (MiDaS: 0.2).",
        at_least=0,
        below=1,
        read_if=on.with_term("affine", lambda term: term.name == "affine"),
    ),
}
_DISCRIMINATOR = {
    "learning_rate": Key(4e-4, "Learning rate of the discriminator.", read_if=on.HOLISTIC),
    "update_every": Key(2, "Steps between two updates of the discriminator.", above=0, read_if=on.HOLISTIC),
}
_REBALANCE = {
    "order": Key(
        "hard_to_easy",
        "Losses that are emphasized first; `constant`: always the easy ones.",
        tuple(ORDERS),
        read_if=on.SEVERAL_LOSSES,
        idle="off",
    ),
    "strength": Key(3.0, "Strength of `constant`, and the largest of the others.", read_if=on.BALANCED),
    "events_per_epoch": Key(5, "Updates of the weights in an epoch.", above=0, read_if=on.EVENTS),
    "weight_initialization": Key(False, "Scale the weights by the first losses (WI).", read_if=on.WEIGHTS),
    "fixed_intermediate": Key(
        True,
        "Keep the weights of Eq. 4 (FIP); otherwise each prediction is a loss of its own.",
        read_if=on.HEADS & on.PREDICTIONS,
    ),
}
_OPTIM = {
    "optimizer": Key(
        "adam", "Optimizer; `mtadam` balances the losses itself and needs `rebalance.order=off`.", tuple(OPTIMIZERS)
    ),
    "momentum": Key(0.9, "Momentum.", at_least=0, at_most=1, read_if=on.by_optimizer("momentum")),
    "weight_decay": Key(
        0.0, "Weight decay, added to the gradient.", at_least=0, read_if=on.by_optimizer("weight_decay")
    ),
    "learning_rate": Key(1e-4, "Initial learning rate.", above=0),
    "schedule": Key("staircase", "Course of the learning rate.", tuple(SCHEDULES)),
    "decay_rate": Key(0.5, "Factor of each decay.", read_if=when("optim.schedule", "staircase")),
    "decay_every_epochs": Key(1.0, "Epochs between two decays.", read_if=when("optim.schedule", "staircase")),
    "warmup_epochs": Key(0.0, "Epochs in which the learning rate rises from 0."),
}
_TRAIN = {
    "epochs": Key(5, "Length of the run.", above=0),
    "log_every": Key(20, "Steps between two records of the losses.", above=0),
    "evaluations_per_epoch": Key(1, "Evaluations on the validation set in an epoch.", above=0),
    "best_by": Key("whdr", "Score of the validation set that chooses the best weights.", ("whdr", "rmse", "si_rmse")),
    "save_minutes": Key(10.0, "Longest time between two checkpoints."),
}
_GROUPS = {
    "model": MODEL_KEYS,
    "data": _DATA,
    "teacher": _TEACHER,
    "loss": _LOSS,
    "discriminator": _DISCRIMINATOR,
    "rebalance": _REBALANCE,
    "optim": _OPTIM,
    "train": _TRAIN,
}

KEYS: Mapping[str, Key] = {
    "name": Key("", "Name of the run; its directory is `runs/NAME`."),
    "seed": Key(0, "Seed of the initial weights, the order of the data and the augmentation."),
    "needs": Key(
        "",
        "The paper's recipe that a configuration repeats: its loss terms and `pretrained` (ImageNet weights).",
    ),
    "without": Key("", "What of that recipe to do without: `teacher`, `pretrained` or `teacher+pretrained`."),
    **{f"{group}.{name}": key for group, keys in _GROUPS.items() for name, key in keys.items()},
}
"""Keys by their dotted names; the defaults are the paper's final recipe on no data set in particular."""

_TITLES = {
    "": "The run",
    "model": "Network",
    "data": "Data",
    "teacher": "Teacher",
    "loss": "Losses",
    "discriminator": "Discriminator of the holistic term",
    "rebalance": "Loss rebalancing",
    "optim": "Optimizer",
    "train": "Training loop",
}
_INTRODUCTION = """# Configuration

Every key of a training run. A file in `configs/` sets some of them by `overlay(train={"epochs": 2})`, the command line
replaces any by `--config.train.epochs=2`, in a sequential training by `--config.stages.NAME.train.epochs`. A key that
does not exist, a value of another type and a value that is not allowed are errors before any work, and so is a value
that nothing reads: the column "read with" says when a key is read. Values of a file in `configs/` that the command line
makes useless are dropped: with `--config.loss.terms=ranking` no teacher is run. The defaults are the paper's final
recipe. This page is generated from the definition of the keys in `mdepth_jax/training/schema.py` and
`mdepth_jax/models/depth_net.py`.
"""


def render_keys() -> str:
    """Renders all keys as a page in Markdown, with a table for each group."""
    parts = [_INTRODUCTION]
    for group, items in itertools.groupby(KEYS.items(), lambda item: item[0].split(".")[0] if "." in item[0] else ""):
        lines = ["| key | default | allowed | read with | meaning |", "|---|---|---|---|---|"]
        lines += [
            f"| `{name}` | {_code(key.default)} | {_allowed(key)} | {key.read_if.words if key.read_if else ''} "
            f"| {key.description} |"
            for name, key in items
        ]
        parts.append("\n".join([f"## {_TITLES[group]}", "", *lines, ""]))
    return "\n".join(parts)


def _allowed(key: Key) -> str:
    return ", ".join(map(_code, key.choices)) if key.choices else key.allowed


def _code(value: Any) -> str:
    return f"`{value}`" if value not in ("", ()) else "empty"


if __name__ == "__main__":
    print(render_keys(), end="")
