import json

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.models.score import Protocol, Score, counts_of, make_scores, read_scores, values_of, write_scores

WHOLE = Protocol("whole", "none", "none", 224, 448)
MIDDLE = Protocol("middle", "eigen", "nyu", 224, 224)
SCORES = make_scores(
    {"whdr": 0.2, "rmse": 1.3},
    pairs=30,
    depth_maps=5,
    data=KNOWN_SETS["nyuv2"],
    split="test",
    ordinal=WHOLE,
    dense=MIDDLE,
    step=7,
    weights="ab12",
)


def test_every_metric_has_its_own_protocol_and_count():
    assert SCORES["whdr"] == Score(
        metric="whdr", value=0.2, data_set="nyuv2", data_name="NYU Depth V2", split="test", protocol=WHOLE, count=30,
        step=7, weights="ab12",
    )  # fmt: skip
    assert (SCORES["rmse"].protocol, SCORES["rmse"].count) == (MIDDLE, 5)
    assert SCORES["rmse"].origin == "NYU Depth V2 test"
    assert (values_of(SCORES), counts_of(SCORES)) == ({"whdr": 0.2, "rmse": 1.3}, {"pairs": 30, "depth_maps": 5})


def test_round_trip_through_json():
    assert read_scores(json.loads(json.dumps({"whdr": 0.2, "pairs": 30, "scores": write_scores(SCORES)}))) == SCORES


def test_plain_numbers_of_earlier_versions_are_of_unknown_origin():
    unknown = make_scores({"whdr": 0.2}, pairs=30, step=7)
    assert read_scores({"scores": {"whdr": 0.2}, "pairs": 30, "depth_maps": 0, "step": 7}) == unknown  # a header
    assert read_scores({"whdr": 0.2, "pairs": 30, "step": 7}) == unknown  # an older header, a result of `evaluate`
    assert read_scores({"scores": {"whdr": 0.2, "pairs": 30, "step": 7}}) == unknown  # an exported file
    assert read_scores({"scores": {}}) == {}
    assert (unknown["whdr"].origin, str(unknown["whdr"].protocol)) == ("unknown data", "unknown")


def test_protocols_in_words():
    assert str(WHOLE) == "whole images at 224x448"
    assert str(MIDDLE) == "the middle of images at 224x224, eigen crop, aligned to nyu"
    fits = {align: str(Protocol("whole", "none", align, 32, 64)) for align in ("affine", "disparity")}
    assert fits == {
        "affine": "whole images at 32x64, scale and shift fitted to each depth map",
        "disparity": "whole images at 32x64, scale and shift fitted to the disparity of each depth map",
    }
