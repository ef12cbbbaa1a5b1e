"""The configuration of a run: its default, and how to replace, read and compare its keys."""

import difflib
import operator
import re
from collections.abc import Collection
from typing import Any

from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.keys import Condition, find_unread, nest_defaults
from mdepth_jax.training.schema import KEYS


def default() -> ConfigDict:
    """Returns the paper's final recipe on no data set in particular; the files in `configs/` overlay it."""
    return ConfigDict(nest_defaults(KEYS)).lock()


def overlay(**groups: Any) -> ConfigDict:
    """Returns the default with the given keys replaced.

    Args:
        **groups: Values of top-level keys, or dictionaries for groups: `overlay(seed=1, train={"epochs": 2})`.

    Raises:
        UserError: If a key does not exist or a value has another type; the message names the key.
    """
    config = default()
    for key, value in groups.items():
        override(config, key, value)
    return config


def override(config: ConfigDict, key: str, value: Any) -> None:
    """Sets a key, or several below a group.

    Args:
        config: Configuration to change.
        key: Dotted name of a key or of a group.
        value: Value; for a group a dictionary of some of its keys.

    Raises:
        UserError: If a key does not exist or a value has another type; the message names the key.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            override(config, f"{key}.{name}", inner)
        return
    *groups, name = key.split(".")
    group = config
    for part in [*groups, name]:
        if not isinstance(group, ConfigDict) or part not in group:
            close = difflib.get_close_matches(key, KEYS, n=1) or [known for known in KEYS if known.endswith(f".{name}")]
            hint = f"did you mean `config.{close[0]}`?" if close else "docs/configuration.md lists all keys"
            raise UserError(f"`config.{key}` is unknown; {hint}")
        group, parent = group[part], group
    try:
        parent[name] = value
    except TypeError:
        kind = type(group).__name__
        raise UserError(f"`config.{key}` is {value!r}; it must be of type {kind}") from None


def lookup(config: ConfigDict, key: str) -> Any:
    """Returns the value of a dotted key."""
    return operator.attrgetter(key)(config)


def drop_unread(config: ConfigDict, given: Collection[str] = (), changed: Collection[str] | None = None) -> None:
    """Replaces values that nothing reads by their defaults.

    Args:
        config: Complete configuration; it is modified.
        given: Dotted names of keys whose values must be read.
        changed: Dotted names of keys whose values have made others useless; None if all that is useless is dropped.

    Raises:
        UserError: If a value must be read, or no key of `changed` made it useless; the message names the key.
    """
    changed = None if changed is None else set(changed)
    while unread := next(find_unread(KEYS, config), None):
        name, key, condition = unread
        if name in given or (changed is not None and changed.isdisjoint(condition.keys)):
            raise UserError(_describe_unread(config, name, condition))
        override(config, name, key.default if key.idle is None else key.idle)
        if changed is not None:
            changed.add(name)


def _describe_unread(config: ConfigDict, name: str, condition: Condition) -> str:
    words = re.sub(r"`([^`]+)`", r"`config.\1`", condition.words)
    default = KEYS[name].default
    value = lookup(config, name)
    return f"`config.{name}` is {value!r}, which only a run with {words} reads; set `config.{name}={default}`"


def check_read(config: ConfigDict) -> None:
    """Checks that every value is read.

    Raises:
        UserError: If one that is not the default is not; the message names the key and when it is read.
    """
    for name, _, condition in find_unread(KEYS, config):
        raise UserError(_describe_unread(config, name, condition))


def differences(ours: ConfigDict, theirs: ConfigDict) -> list[str]:
    """Returns the dotted keys that differ, each as `key: ours, there theirs`."""
    left, right = flatten(ours), flatten(theirs)
    return [
        f"{key}: {left.get(key)!r}, there {right.get(key)!r}"
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def flatten(config: ConfigDict) -> dict[str, Any]:
    """Returns the values of a configuration by their dotted keys."""
    return _flatten(config.to_dict())


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
