import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import overlay
from mdepth_jax.training.provenance import configs_of, describe_output, lineage


def test_a_lineage_grows_by_the_run_of_the_file():
    first = {"command": "a", "config": overlay(name="first").to_dict(), "scores": {"whdr": 0.2}}
    second = {"command": "b", "config": overlay(name="second").to_dict(), "earlier": lineage(first)}
    assert [run["command"] for run in lineage(second)] == ["a", "b"]
    assert lineage(first) == [{"command": "a", "config": first["config"]}]
    assert [config.name for config in configs_of(second)] == ["first", "second"]


def test_a_header_that_tells_nothing():
    assert lineage({}) == [{}]
    assert configs_of({}) == []


def test_keys_of_an_earlier_version_get_their_default_and_those_of_a_later_one_are_refused():
    [config] = configs_of({"config": {"name": "old"}})
    assert config.data.crop == "none"
    with pytest.raises(UserError, match="the header of the weights: written by another version"):
        configs_of({"config": {"data": {"colour": 1}}})


def test_output_has_a_sign_and_a_unit():
    for terms in ("auto", "ranking+pixelwise", "mannequin"):
        assert "larger = farther: no unit" in describe_output(overlay(loss={"terms": terms}))
    for terms in ("dense", "ranking+l1"):
        assert "in the unit of the depth maps" in describe_output(overlay(loss={"terms": terms}))
    assert describe_output(overlay(data={"log": 4.0})).endswith("; 4 times its natural logarithm")
