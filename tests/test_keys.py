from types import SimpleNamespace

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.keys import Key, check_values, nest_defaults


@pytest.mark.parametrize(
    ("key", "words", "allowed", "refused"),
    [
        (Key(1, ""), "", (0, -1, "x"), ()),
        (Key("a", "", choices=("a", "b")), "one of 'a', 'b'", ("a", "b"), ("c", "")),
        (Key(1, "", above=0), "positive", (1, 1e-9), (0, -1, float("nan"))),
        (Key(1, "", at_least=1), "at least 1", (1, 2), (0.9,)),
        (Key(0.5, "", at_least=0, at_most=1), "at least 0 and at most 1", (0, 1), (-0.1, 1.1, float("nan"))),
        (Key(0.5, "", above=0, below=1), "above 0 and below 1", (0.5,), (0, 1)),
    ],
)
def test_allowed_values(key, words, allowed, refused):
    assert key.allowed == words
    assert all(map(key.allows, allowed))
    assert not any(map(key.allows, refused))


def test_defaults_are_nested():
    keys = {"a": Key(1, ""), "b.c": Key(2, ""), "b.d.e": Key(3, "")}
    assert nest_defaults(keys) == {"a": 1, "b": {"c": 2, "d": {"e": 3}}}


def test_check_values_names_the_key():
    keys = {"b.c": Key(2, "", above=0), "b.d": Key("x", "", choices=("x", "y"))}
    check_values(keys, SimpleNamespace(b=SimpleNamespace(c=1, d="y")))
    with pytest.raises(UserError, match=r"^`config\.b\.c` is 0; it must be positive$"):
        check_values(keys, SimpleNamespace(b=SimpleNamespace(c=0, d="x")))
    with pytest.raises(UserError, match=r"^`group\.b\.d` is 'z'; choose one of 'x', 'y'$"):
        check_values(keys, SimpleNamespace(b=SimpleNamespace(c=1, d="z")), "group.")
