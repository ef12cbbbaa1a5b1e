"""The configuration of a run: every key with its default, and the checks made before any work."""

import difflib
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json, write_whole
from mdepth_jax.models import Weights, default_config


def default() -> ConfigDict:
    """Gives the paper's final recipe on no data set in particular; the files in `configs/` overlay it."""
    return ConfigDict(
        {
            "name": "",
            "seed": 0,
            "model": default_config(),
            "data": {
                "source": "folder",  # "scenes" (embedded) | "folder" (raw or prepared, see data.root)
                "root": "",
                "train": "train",  # split: <root>/pairs_<split>.csv, <root>/<split>.csv, or records; or a CSV's path
                "eval": "test",
                "unlabelled": "",  # a folder with images/ and teacher/, for the pixel-wise term alone
                "count": 0,  # scenes: how many to train on
                "eval_count": 0,  # scenes: how many to evaluate on
                "height": 224,
                "width": 448,
                "batch_size": 4,  # of all devices together
                "pairs": 0,  # per image in training, drawn anew each time; 0 is all that it has
                "sampled_pairs": 0,  # drawn from the depth map in each step, in place of labelled pairs
                "eval_pairs": 1,  # scenes: pairs per image of the evaluation
                "scale": 1.0,  # augmentation: largest enlargement; depth is divided by it
                "rotation": 0.0,  # augmentation: largest angle in degrees
                "crop": "none",  # "none" stretches to height x width | "center" | "random"; evaluation: "center"
                "flip": False,
                "jitter": 0.0,  # strength of the colour jitter, 0 to 1
                "map_scale": 0.001,  # unit of a cached teacher map's codes
                "depth_scale": 0.001,  # unit of a depth map's codes
                "eval_crop": "none",  # pixels of a depth map that count: "none" | "eigen" (NYUv2's)
                "log": 0.0,  # learn this factor times the logarithm of maps and depths; 0: as they are
            },
            "teacher": {
                "maps": False,  # cached maps give the pixel-wise term
                "run": "",  # "embedded", a run or a file, see `load_teacher`: depth (if no maps), features
            },
            "loss": {
                "terms": "auto",  # e.g. "ranking+pixelwise"; "auto" is ranking and all that the teacher allows
                "weights": {  # at the start; scaled to sum to one
                    "ranking": 1.0,
                    "improved_ranking": 1.0,
                    "pixelwise": 1.0,
                    "pairwise": 1.0,
                    "holistic": 0.05,
                    "dense": 1.0,
                    "l1": 1.0,
                    "mannequin": 1.0,
                },
                "pool_scale": 0.5,  # of the pair-wise term
                "drop_easy": 0.0,  # improved ranking: share of the unequal pairs, the easiest, that do not count
            },
            "discriminator": {  # of the holistic term
                "learning_rate": 4e-4,
                "update_every": 2,  # steps
            },
            "rebalance": {
                "order": "hard_to_easy",  # "hard_to_easy" | "easy_to_hard" | "constant" | "off"
                "strength": 3.0,  # lambda of "constant", and the largest of the others
                "events_per_epoch": 5,
                "weight_initialization": False,
                "fixed_intermediate": True,  # the weights of Eq. 4 stay; else each prediction is a term
            },
            "optim": {
                "optimizer": "adam",  # "adam" | "sgd" | "mtadam" (balances the losses itself: rebalance.order=off)
                "momentum": 0.9,  # sgd
                "weight_decay": 0.0,  # sgd: added to the gradient
                "learning_rate": 1e-4,
                "schedule": "staircase",  # "staircase" | "cosine"
                "decay_rate": 0.5,
                "decay_every_epochs": 1.0,
                "warmup_epochs": 0.0,
            },
            "train": {
                "epochs": 5,
                "log_every": 20,
                "evaluations_per_epoch": 1,
                "best_by": "whdr",  # of the held-out set: "whdr" | "rmse" | "si_rmse"
                "save_minutes": 10.0,
            },
        },
    ).lock()


CHOICES = {
    "data.source": ("scenes", "folder"),
    "data.eval_crop": ("none", "eigen"),
    "data.crop": ("none", "center", "random"),
    "rebalance.order": ("hard_to_easy", "easy_to_hard", "constant", "off"),
    "optim.optimizer": ("adam", "sgd", "mtadam"),
    "optim.schedule": ("staircase", "cosine"),
    "train.best_by": ("whdr", "rmse", "si_rmse"),
}
RANGES = {
    "data.sampled_pairs": (0, math.inf), "data.pairs": (0, math.inf), "data.rotation": (0, 180),
    "data.scale": (1, math.inf), "data.jitter": (0, 1), "data.log": (0, math.inf),
    "loss.drop_easy": (0, 1), "loss.pool_scale": (0, 1), "optim.momentum": (0, 1), "optim.weight_decay": (0, math.inf),
}  # fmt: skip
POSITIVE = (
    "data.depth_scale", "data.map_scale",
    "data.height", "data.width", "data.batch_size", "data.eval_pairs",
    "optim.learning_rate", "rebalance.events_per_epoch",
    "train.epochs", "train.log_every", "train.evaluations_per_epoch", "discriminator.update_every",
)  # fmt: skip


def overlay(**groups: Any) -> ConfigDict:
    """Gives the default with the given keys replaced; an unknown key or another type is an error.

    Args:
        **groups: Values of top-level keys, or dictionaries for groups: `overlay(seed=1, train={"epochs": 2})`.

    Raises:
        UserError: Naming the key.
    """
    config = default()
    for key, value in groups.items():
        override(config, key, value)
    return config


def override(config: ConfigDict, key: str, value: Any) -> None:
    """Sets one dotted key, or all keys of a dictionary below it.

    Raises:
        UserError: If the key does not exist or the value is of another type, naming the key.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            override(config, f"{key}.{name}", inner)
        return
    *groups, name = key.split(".")
    group = config
    for part in [*groups, name]:
        if not isinstance(group, ConfigDict) or part not in group:
            known = _flatten(default().to_dict())
            close = difflib.get_close_matches(key, known, n=1) or [k for k in known if k.endswith("." + name)]
            hint = f"did you mean config.{close[0]}?" if close else "mdepth_jax/training/config.py lists all keys"
            raise UserError(f"config.{key} is unknown; {hint}")
        group, parent = group[part], group
    try:
        parent[name] = value
    except TypeError:
        kind = type(group).__name__
        raise UserError(f"config.{key} is {value!r}; it must be of type {kind}") from None


def lookup(config: ConfigDict, key: str) -> Any:
    """Gives the value of a dotted key."""
    value: Any = config
    for part in key.split("."):
        value = value[part]
    return value


def check(config: ConfigDict) -> None:
    """Refuses values that no run can have.

    Raises:
        UserError: Naming the key and the way out.
    """
    for key, choices in CHOICES.items():
        if lookup(config, key) not in choices:
            given = lookup(config, key)
            raise UserError(f"config.{key} is {given!r}; choose one of {', '.join(map(repr, choices))}")
    for key in POSITIVE:
        if not lookup(config, key) > 0:
            raise UserError(f"config.{key} is {lookup(config, key)}; it must be positive")
    for key, (low, high) in RANGES.items():
        if not low <= lookup(config, key) <= high:
            raise UserError(f"config.{key} is {lookup(config, key)}; it must lie between {low} and {high}")
    if config.loss.drop_easy == 1:
        raise UserError("config.loss.drop_easy is 1.0, which leaves no pair to learn from; give less")
    if any(weight < 0 for weight in config.loss.weights.values()):
        raise UserError("config.loss.weights: a weight is negative; give 0 or more")
    if config.data.source == "folder" and not config.data.root:
        raise UserError("config.data.root is empty; name the folder of your data: --config.data.root=DIR")
    if config.data.source == "scenes" and min(config.data.count, config.data.eval_count) <= 0:
        raise UserError("config.data.count and config.data.eval_count say how many scenes; both must be positive")
    if config.optim.optimizer == "mtadam" and config.rebalance.order != "off":
        raise UserError("config.optim.optimizer is 'mtadam', which balances the losses; set config.rebalance.order=off")
    if config.optim.weight_decay and config.optim.optimizer != "sgd":
        raise UserError(
            f"config.optim.weight_decay is {config.optim.weight_decay}, but {config.optim.optimizer!r} has none; "
            "set config.optim.weight_decay=0.0"
        )
    if "holistic" in config.loss.terms.split("+") and config.rebalance.order != "off":
        raise UserError(
            "config.loss.terms: 'holistic' can be negative, which rebalancing cannot weigh; "
            "set config.rebalance.order=off"
        )
    if "mannequin" in config.loss.terms.split("+") and config.data.log != 1:
        raise UserError("config.loss.terms: 'mannequin' compares logarithms of depth; set config.data.log=1.0")


def bind_to_workdir(config: ConfigDict, workdir: pathlib.Path, *, writes: bool = True) -> None:
    """Writes the configuration into a new run directory, or checks that it is the one written there.

    Where the weights came from at the start (`model.start`) may have moved since.

    Args:
        config: The whole configuration.
        workdir: The run directory.
        writes: False on all hosts but one.

    Raises:
        UserError: If the directory belongs to another configuration, naming the first keys that differ.
    """
    path = workdir / "config.json"
    if path.exists():
        differing = [key for key in differences(config, load(workdir)) if not key.startswith("model.start:")]
        if differing:
            raise UserError(
                f"{workdir} belongs to a run with another configuration ({'; '.join(differing[:3])}); "
                "choose another --workdir, or give the same configuration to continue that run"
            )
    elif writes:
        workdir.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(config.to_dict(), indent=2) + "\n")


def load(workdir: pathlib.Path) -> ConfigDict:
    """Reads the configuration of a run directory; keys that it does not have yet get their default.

    Raises:
        UserError: If there is none, it does not parse, or it has keys that this version does not know.
    """
    path = workdir / "config.json"
    try:
        return complete(read_json(path), str(path))
    except FileNotFoundError:
        raise UserError(f"{workdir} is not a run directory: it has no config.json") from None


def complete(saved: Mapping[str, Any], where: str) -> ConfigDict:
    """Gives the default with the keys of a saved configuration, maybe of an earlier version, replaced.

    Args:
        saved: As nested dictionaries.
        where: What an error names.

    Raises:
        UserError: If it has keys that this version does not know.
    """
    config = default()
    try:
        config.update(saved)
    except (KeyError, TypeError) as error:
        raise UserError(f"{where}: written by another version ({error}); use that one") from None
    return config


def of_weights(weights: Weights) -> ConfigDict:
    """Returns the configuration of the run that made a file of weights.

    Raises:
        UserError: If the header does not hold it, or it has keys that this version does not know.
    """
    if not weights.header.run.config:
        raise UserError(f"{weights.path}: its header lacks the run's configuration; give a file that a run wrote")
    return complete(weights.header.run.config, str(weights.path))


def differences(ours: ConfigDict, theirs: ConfigDict) -> list[str]:
    """Lists the dotted keys that differ, each as `key: ours, there theirs`."""
    left, right = _flatten(ours.to_dict()), _flatten(theirs.to_dict())
    return [
        f"{key}: {left.get(key)!r}, there {right.get(key)!r}"
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
