import csv
import json
import shutil

import numpy as np
import pytest
from flax import nnx

from mdepth_jax import report
from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, count_parameters, save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.paper import comparison, figures
from mdepth_jax.training.config import overlay


def write_run(directory, name, seed, whdr):
    """What a run leaves, with two evaluations; the last one counts."""
    config = overlay(name=name, seed=seed, model={"width": 0.25})
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    records = [
        {"step": 1, "total": 1.0, "weight/ranking": 0.5, "loss/ranking": 0.7},
        {"step": 1, "eval/whdr": 0.01},
        {"step": 2, "total": 0.9, "weight/ranking": 0.6, "loss/ranking": 0.6},
        {"step": 2, "eval/whdr": whdr},
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    model = build_model(config.model, rngs=nnx.Rngs(0))
    save_weights(directory / "model.safetensors", model, config.model, Header(TrainingRun(config=config.to_dict())))
    return directory, model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    first, model = write_run(root / "off0", "table6_no_rebalancing_pairs", 0, 0.20)
    runs = [first, *(shutil.copytree(first, root / name) for name in ("off1", "hard", "mine"))]
    for directory, name, seed, whdr in zip(
        runs[1:],
        ("table6_no_rebalancing_pairs", "table6_hard_easy", "mine"),
        (1, 0, 0),
        (0.24, 0.11, 0.3),
        strict=True,
    ):
        shutil.rmtree(directory)
        write_run(directory, name, seed, whdr)
    (runs[2] / "evaluations").mkdir()
    for metric, scores in {"rmse": {"rmse": 1.25, "whdr": 0.9}, "si_rmse": {"rmse": 0.9, "si_rmse": 0.4}}.items():
        (runs[2] / "evaluations" / f"{metric}.json").write_text(json.dumps(scores))
    return runs, count_parameters(model.without_heads())


def test_run_is_read_at_its_end_with_its_other_evaluations(runs):
    directories, parameters = runs
    run = comparison.read_run(directories[2])
    assert (run.row, run.config.seed, run.parameters) == ("table6_hard_easy", 0, parameters)
    assert run.scores == {"whdr": 0.11, "rmse": 1.25, "si_rmse": 0.4}


def test_tables_stand_beside_the_paper(runs, tmp_path, capsys):
    directories, _ = runs
    assert report.main([*map(str, directories), "--output", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "tables.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "## Table 6: loss rebalancing" in text
    assert "## Other runs" in text
    with (tmp_path / "report" / "tables.csv").open() as file:
        rows = {row[""]: row for row in csv.DictReader(file)}
    off = rows[figures.ROWS["table6_no_rebalancing"].title]
    assert off["whdr"] == f"0.2200 +- {np.std([0.20, 0.24], ddof=1):.4f}"
    assert (off["seeds"], off["change"], off["paper whdr"]) == ("2", "+0.0 %", "0.1198")
    hard = rows[figures.ROWS["table6_hard_easy"].title]
    assert (hard["whdr"], hard["change"], hard["rmse"], hard["paper rmse"]) == ("0.1100", "-50.0 %", "1.2500", "1.3000")
    assert hard["paper change"] == f"{100 * (0.1156 / 0.1198 - 1):+.1f} %"
    assert rows["mine"]["paper whdr"] == ""
    for picture in ("figure1.png", "weights.png"):
        assert (tmp_path / "report" / picture).stat().st_size > 5000


def test_runs_of_one_row_may_differ_in_the_seed_alone(tmp_path):
    first, _ = write_run(tmp_path / "first", "mine", 0, 0.3)
    config = overlay(name="mine", seed=1, model={"width": 0.25}, train={"epochs": 9})
    second, _ = write_run(tmp_path / "second", "mine", 1, 0.3)
    (second / "config.json").write_text(json.dumps(config.to_dict()))
    with pytest.raises(UserError, match=r"are both mine, but differ in more than the seed \(train\.epochs"):
        comparison.make_tables([comparison.read_run(first), comparison.read_run(second)])


def test_an_evaluation_names_its_metric(tmp_path):
    run, _ = write_run(tmp_path / "run", "mine", 0, 0.3)
    (run / "evaluations").mkdir()
    (run / "evaluations" / "nyu.json").write_text(json.dumps({"rmse": 1.25}))
    with pytest.raises(UserError, match=r"nyu\.json: name the file after the metric"):
        comparison.read_run(run)
    (run / "evaluations" / "nyu.json").write_text('{"rmse": 1.')
    with pytest.raises(UserError, match=r"nyu\.json:1: not valid JSON .*; correct it or move it away"):
        comparison.read_run(run)


def test_a_folder_without_evaluations(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        report.main([str(tmp_path), "--output", str(tmp_path / "report")])
    (tmp_path / "config.json").write_text(json.dumps(overlay(name="young").to_dict()))
    with pytest.raises(UserError, match="has no evaluation yet"):
        report.main([str(tmp_path), "--output", str(tmp_path / "report")])
