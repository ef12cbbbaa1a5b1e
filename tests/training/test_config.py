import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import default, differences, lookup, overlay, override
from mdepth_jax.training.schema import KEYS


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"train": {"epoch": 3}}, "`config.train.epoch` is unknown; did you mean `config.train.epochs`"),
        ({"traim": {"epochs": 3}}, "`config.traim.epochs` is unknown; did you mean `config.train.epochs`"),
        ({"nonsense": 3}, "`config.nonsense` is unknown; docs/configuration.md lists all keys"),
        ({"train": {"epochs": "three"}}, "`config.train.epochs` is 'three'; it must be of type int"),
        ({"optim": {"learning_rate": "fast"}}, "`config.optim.learning_rate` is 'fast'; it must be of type float"),
    ],
)
def test_overlay_names_the_key(groups, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        overlay(**groups)


def test_overlay_replaces_the_given_keys_alone():
    config = overlay(seed=7, train={"epochs": 2}, optim={"learning_rate": 1})
    assert differences(config, default()) == [
        "optim.learning_rate: 1.0, there 0.0001",
        "seed: 7, there 0",
        "train.epochs: 2, there 5",
    ]


def test_every_key_of_the_schema_can_be_read_and_set():
    config = default()
    for name, key in KEYS.items():
        assert lookup(config, name) == key.default
        override(config, name, key.default)
    assert differences(config, default()) == []
