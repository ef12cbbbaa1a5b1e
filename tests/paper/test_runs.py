import dataclasses
import json

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.models.score import Protocol
from mdepth_jax.paper.runs import fills_cell, read_run
from mdepth_jax.training.config import overlay
from tests.paper.runs import make_run, score, write_evaluation, write_run

RELATIVE = make_run("kd_diw")


@pytest.mark.parametrize(
    ("metric", "data"), [("whdr", "diw"), ("rmse", "nyuv2"), ("delta1", "nyuv2"), ("si_rmse", "mannequin")]
)
def test_a_cell_takes_the_data_split_protocol_and_weights_of_the_paper_alone(metric, data):
    right = score(metric, 0.2, data)
    assert fills_cell(right, RELATIVE)
    for other in {"diw", "nyuv2", "mannequin", "redweb", "", "DIW"} - {data}:
        assert not fills_cell(score(metric, 0.2, other), RELATIVE)
    for split in ("validation", "val", "test[:50%]", "test (a part)", ""):
        assert not fills_cell(dataclasses.replace(right, split=split), RELATIVE)
    for weights in ("other", ""):
        assert not fills_cell(dataclasses.replace(right, weights=weights), RELATIVE)
    assert not fills_cell(dataclasses.replace(right, protocol=Protocol()), RELATIVE)
    smaller = dataclasses.replace(right.protocol, height=96)
    assert not fills_cell(dataclasses.replace(right, protocol=smaller), RELATIVE)


def test_alignment_is_that_of_the_network():
    """Relative depth is aligned for both metrics, log depth without a unit for RMSE alone, and meters never."""
    networks = {"nyu nyu": RELATIVE, "nyu none": make_run("mannequin", loss={"terms": "mannequin"}),
                "none none": make_run("nyuv2", loss={"terms": "l1"})}  # fmt: skip
    for alignments, run in networks.items():
        for metric, data, right in zip(("rmse", "si_rmse"), ("nyuv2", "mannequin"), alignments.split(), strict=True):
            for align in ("none", "nyu"):
                made = score(metric, 1.0, data)
                made = dataclasses.replace(made, protocol=dataclasses.replace(made.protocol, align=align))
                assert fills_cell(made, run) == (align == right)


def test_whdr_of_the_middle_of_images_and_rmse_of_whole_maps_fill_nothing():
    made = score("whdr", 0.2, "diw")
    middle = dataclasses.replace(made.protocol, view="middle")
    assert not fills_cell(dataclasses.replace(made, protocol=middle), RELATIVE)
    made = score("rmse", 0.2, "nyuv2")
    assert not fills_cell(dataclasses.replace(made, protocol=dataclasses.replace(made.protocol, crop="none")), RELATIVE)


def test_scores_of_the_best_weights_and_of_evaluations(tmp_path):
    own = {"whdr": score("whdr", 0.21, "redweb", "val")}
    directory = write_run(tmp_path / "run", name="table6_hard_easy", scores=own)
    write_evaluation(directory, "diw", score("whdr", 0.11, "diw"))
    write_evaluation(directory, "nyu", score("rmse", 1.25, "nyuv2"), score("whdr", 0.3, "nyuv2"))
    write_evaluation(directory, "before", score("si_rmse", 0.4, "mannequin"), weights="ab")
    run = read_run(directory)
    assert (run.row, run.parameters, run.records[-1]) == ("table6_hard_easy", 2_580_225, {"step": 2, "test/whdr": 0.3})
    assert {name: cell.value for name, cell in run.cells.items()} == {"whdr": 0.11, "rmse": 1.25}
    assert [(other.metric, other.value, other.origin) for other in run.others] == [
        ("whdr", 0.21, "ReDWeb val"), ("si_rmse", 0.4, "Mannequin Challenge test"), ("whdr", 0.3, "NYU Depth V2 test"),
    ]  # fmt: skip


def test_results_of_earlier_versions_have_no_origin_and_fill_nothing(tmp_path):
    directory = write_run(tmp_path / "run", name="table6_hard_easy")
    (directory / "evaluations").mkdir()
    (directory / "evaluations/rmse.json").write_text('{"rmse": 1.25, "depth_maps": 654, "model": "run"}')
    run = read_run(directory)
    assert run.cells == {}
    assert [(other.metric, other.value, other.count, other.origin) for other in run.others] == [
        ("rmse", 1.25, 654, "unknown data")
    ]


def test_files_that_are_no_results(tmp_path):
    run = write_run(tmp_path / "run", name="mine")
    for folder, content, message in (
        ("evaluations", '{"wrong": 3}', r"file\.json: holds no scores; write it by python -m mdepth_jax\.evaluate"),
        ("evaluations", '{"rmse": 1.', r"file\.json:1: not valid JSON .*; correct it or move it away"),
        ("benchmarks", "{}", r"file\.json: holds no rows of timings"),
    ):
        (run / folder).mkdir(exist_ok=True)
        (run / folder / "file.json").write_text(content)
        with pytest.raises(UserError, match=message):
            read_run(run)
        (run / folder / "file.json").unlink()


def test_a_run_without_weights(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(overlay(name="young").to_dict()))
    with pytest.raises(UserError, match="train that run up to its first evaluation"):
        read_run(tmp_path)


def test_a_run_lacks_what_its_weights_lack(tmp_path):
    directory = write_run(tmp_path / "run", name="diw", needs="ranking+pretrained", without="pretrained",
                          loss={"terms": "ranking"})  # fmt: skip
    run = read_run(directory)
    assert (run.lacks, run.row, run.cells) == (("pretrained",), "", {})
    assert run.experiment == "diw, without pretrained weights"


def test_recipes_and_networks():
    assert make_run("kd_diw").row == "table6_hard_easy"
    assert make_run("table6_hard_easy_pairs").row == ""
    ours = make_run("nyuv2", loss={"terms": "l1"})
    assert (ours.row, ours.design) == ("table3_nyuv2", ("mobilenet_v2", "fbnet x112"))
    other = make_run("nyuv2", model={"encoder": "ghostnet", "decoder": "nnconv5"})
    assert (other.row, other.design, other.experiment) == ("", ("ghostnet", "nnconv5"), "ghostnet + nnconv5")
    assert make_run("kd_diw_pruned", parameters=1_903_000).experiment == "kd_diw_pruned, 1.9M"
