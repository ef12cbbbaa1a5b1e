import json

from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.score import make_scores

FULL = Header(
    run=TrainingRun("train b", {"name": "b", "data": {"log": 4.0}}),
    earlier=(TrainingRun("train a", {"name": "a"}, (DataSetInfo(name="my rooms"),)),),
    output="relative depth",
    scores=make_scores({"whdr": 0.25, "rmse": 1.0}, pairs=2000, depth_maps=3, split="test", step=750),
    step=750,
    terms=("ranking", "pixelwise"),
)


def test_round_trip():
    assert Header.from_json(FULL.to_json()) == FULL
    assert Header.from_json(Header().to_json()) == Header()


def test_the_lineage_ends_with_the_run_of_the_file():
    assert [run.command for run in FULL.lineage] == ["train a", "train b"]
    following = Header(run=TrainingRun("train c"), earlier=FULL.lineage)
    assert [run.command for run in following.lineage] == ["train a", "train b", "train c"]
    assert Header().lineage == (TrainingRun(),)


def test_scores_of_an_earlier_version_stand_next_to_the_other_values():
    header = Header.from_json(json.dumps({"whdr": 0.26, "pairs": 2000, "step": 1200, "command": "train"}))
    assert header.run.data == ()
    assert header == Header(
        run=TrainingRun("train"), scores=make_scores({"whdr": 0.26}, pairs=2000, step=1200), step=1200
    )
    assert (header.values, header.pairs, header.depth_maps) == ({"whdr": 0.26}, 2000, 0)
