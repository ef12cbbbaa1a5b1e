import pytest

from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.errors import UserError
from mdepth_jax.licenses import UNKNOWN, License
from mdepth_jax.models import TrainingRun
from mdepth_jax.models.score import Protocol
from mdepth_jax.training.config import overlay
from mdepth_jax.training.provenance import default_alignment, describe_output, find_licenses, make_protocols


def test_licenses_come_from_what_each_run_recorded():
    mine = DataSetInfo(name="my rooms", terms="CC0", reference="https://example.org")
    first = TrainingRun("a", overlay(data={"root": "nyuv2"}).to_dict(), (mine, DataSetInfo(name="data in photos")))
    second = TrainingRun("b", overlay(data={"root": "diw"}, model={"start": "a"}).to_dict())
    assert find_licenses([first, TrainingRun("unknown"), second]) == [
        License("my rooms", "CC0", "https://example.org"),
        License("data in photos", UNKNOWN),
        License("data in diw", UNKNOWN),  # whatever the name of the folder
    ]


def test_keys_of_an_earlier_version_get_their_default_and_those_of_a_later_one_are_refused():
    assert find_licenses([TrainingRun(config={"name": "old"})])
    with pytest.raises(UserError, match="the header of the weights: written by another version"):
        find_licenses([TrainingRun(config={"data": {"color": 1}})])


@pytest.mark.parametrize(
    ("terms", "align"),
    [
        ("ranking", "nyu"),
        ("auto", "nyu"),
        ("ranking+pixelwise", "nyu"),
        ("affine+gradient_matching", "nyu"),
        ("mannequin", "none"),
        ("ranking+l1", "none"),
    ],
)
def test_relative_depth_is_aligned_before_it_is_compared(terms, align):
    """Whether or not the network predicts a logarithm: one of relative depth has no meaning either."""
    for log in (0.0, 4.0):
        assert default_alignment(overlay(loss={"terms": terms}, data={"log": log})) == align


def test_every_metric_has_one_view():
    config = overlay(loss={"terms": "l1"}, data={"height": 32, "width": 64, "crop": "center", "eval_crop": "eigen"})
    assert make_protocols(config) == (
        Protocol("whole", "none", "none", 32, 64),
        Protocol("middle", "eigen", "none", 32, 64),
    )
    assert make_protocols(config, "nyu")[1].align == "nyu"
    config.data.crop = "none"
    assert make_protocols(config)[1].view == "whole"


def test_output_has_a_sign_and_a_unit():
    for terms in ("auto", "ranking+pixelwise", "ranking+affine+gradient_matching", "mannequin"):
        assert "larger = farther: no unit" in describe_output(overlay(loss={"terms": terms}))
    for terms in ("dense", "ranking+l1", "dense+affine"):
        assert "in the unit of the depth maps" in describe_output(overlay(loss={"terms": terms}))
    assert describe_output(overlay(data={"log": 4.0})).endswith("; 4 times its natural logarithm")
