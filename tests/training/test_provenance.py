import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.models import TrainingRun
from mdepth_jax.training.config import overlay
from mdepth_jax.training.provenance import configs_of, describe_output


def test_unknown_runs_have_no_configuration():
    runs = [TrainingRun("a", overlay(name="first").to_dict()), TrainingRun("b"), TrainingRun()]
    assert [config.name for config in configs_of(runs)] == ["first"]


def test_keys_of_an_earlier_version_get_their_default_and_those_of_a_later_one_are_refused():
    [config] = configs_of([TrainingRun(config={"name": "old"})])
    assert config.data.crop == "none"
    with pytest.raises(UserError, match="the header of the weights: written by another version"):
        configs_of([TrainingRun(config={"data": {"color": 1}})])


def test_output_has_a_sign_and_a_unit():
    for terms in ("auto", "ranking+pixelwise", "mannequin"):
        assert "larger = farther: no unit" in describe_output(overlay(loss={"terms": terms}))
    for terms in ("dense", "ranking+l1"):
        assert "in the unit of the depth maps" in describe_output(overlay(loss={"terms": terms}))
    assert describe_output(overlay(data={"log": 4.0})).endswith("; 4 times its natural logarithm")
