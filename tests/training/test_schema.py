import pathlib

import pytest

from mdepth_jax.models import default_config
from mdepth_jax.training.config import default
from mdepth_jax.training.schema import KEYS, render_keys

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == render_keys(), "run: python -m mdepth_jax.training.schema > docs/configuration.md"


@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_described_and_allows_its_default(name):
    key = KEYS[name]
    assert key.allows(key.default)
    assert key.description.endswith(".")
    assert f"| `{name}` |" in render_keys()


def test_the_group_of_the_network_is_that_of_models():
    assert default().model.to_dict() == default_config().to_dict()


def test_rows_of_the_page():
    lines = render_keys().splitlines()
    assert "| `data.crop` | `none` | `none`, `center`, `random` |  |" in "".join(
        line[: line.rindex("| ") + 1] for line in lines if "`data.crop`" in line
    )
    assert any(line.startswith("| `optim.learning_rate` | `0.0001` | positive |") for line in lines)
    start = (
        "| `loss.weights.holistic` | `0.05` | at least 0 | holistic and another term in `loss.terms` | Initial weight: "
    )
    assert any(line.startswith(start) for line in lines)
