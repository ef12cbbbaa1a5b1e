"""The configuration of a run: every key with its default, and how to replace and compare them."""

import difflib
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.models import default_config
from mdepth_jax.training.terms import TERMS


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
                "weights": {term.name: term.weight for term in TERMS.values()},  # at the start; scaled to sum to one
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
