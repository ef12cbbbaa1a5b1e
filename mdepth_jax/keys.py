"""The description of a configuration's keys: default, meaning, allowed values and use of each stand in one place."""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mdepth_jax.errors import UserError


@dataclass(frozen=True)
class Condition:
    """Condition on which a key is read.

    Attributes:
        keys: Dotted names of the keys that it depends on.
        words: The condition in words, after "with"; keys stand between backticks.
        holds: Returns whether a complete configuration meets it.
    """

    keys: tuple[str, ...]
    words: str
    holds: Callable[[Any], bool]

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(
            self.keys + other.keys,
            f"{self.words} and {other.words}",
            lambda config: self.holds(config) and other.holds(config),
        )


def when(name: str, *values: Any) -> Condition:
    """Returns the condition that a key has one of some values."""
    words = " or ".join(f"`{name}={value}`" for value in values)
    return Condition((name,), words, lambda config: operator.attrgetter(name)(config) in values)


@dataclass(frozen=True)
class Key:
    """A key of a configuration; its type is that of its default.

    Attributes:
        default: Default value.
        description: One line of documentation.
        choices: Allowed values; empty for any.
        above: Exclusive lower bound; None for none.
        at_least: Inclusive lower bound; None for none.
        below: Exclusive upper bound; None for none.
        at_most: Inclusive upper bound; None for none.
        read_if: Condition on which it is read; None for always.
        idle: Further value that asks for nothing, which is no mistake where the key is not read; None for none.
    """

    default: Any
    description: str
    choices: Collection[Any] = ()
    above: int | float | None = None
    at_least: int | float | None = None
    below: int | float | None = None
    at_most: int | float | None = None
    read_if: Condition | None = None
    idle: Any = None

    @property
    def allowed(self) -> str:
        """Allowed values in words; empty for any."""
        if self.choices:
            return f"one of {', '.join(map(repr, self.choices))}"
        if self.above == 0 and self.below is self.at_most is None:
            return "positive"
        bounds = {"above": self.above, "at least": self.at_least, "below": self.below, "at most": self.at_most}
        return " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)

    def allows(self, value: Any) -> bool:
        """Returns whether a value is allowed."""
        if self.choices:
            return value in self.choices
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


def nest_defaults(keys: Mapping[str, Key]) -> dict[str, Any]:
    """Returns the defaults of keys with dotted names as nested dictionaries."""
    tree: dict[str, Any] = {}
    for name, key in keys.items():
        *groups, last = name.split(".")
        group = tree
        for part in groups:
            group = group.setdefault(part, {})
        group[last] = key.default
    return tree


def check_values(keys: Mapping[str, Key], config: Any, prefix: str = "config.") -> None:
    """Checks every value of a configuration by itself.

    Args:
        keys: Keys by their dotted names.
        config: Object whose attributes are the values, such as a `ConfigDict`.
        prefix: Start of the full names of the keys, for the message.

    Raises:
        UserError: If a value is not allowed; the message names the key.
    """
    for name, key in keys.items():
        if not key.allowed:
            continue
        value = operator.attrgetter(name)(config)
        if not key.allows(value):
            remedy = f"choose {key.allowed}" if key.choices else f"it must be {key.allowed}"
            raise UserError(f"`{prefix}{name}` is {value!r}; {remedy}")


def find_unread(keys: Mapping[str, Key], config: Any) -> Iterator[tuple[str, Key, Condition]]:
    """Yields the keys that ask for something which nothing reads, with the condition on which they would be read.

    Args:
        keys: Keys by their dotted names.
        config: Complete configuration.
    """
    for name, key in keys.items():
        value = operator.attrgetter(name)(config)
        if key.read_if and value not in (key.default, key.idle) and not key.read_if.holds(config):
            yield name, key, key.read_if
