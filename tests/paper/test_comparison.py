import json

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.paper import figures
from mdepth_jax.paper.comparison import Run, format_markdown, format_rows, make_tables, make_tradeoff, read_run
from mdepth_jax.training.config import overlay
from tests.paper.runs import write_evaluation, write_run


def make_run(tmp_path, name, scores, *, seed=0, **changes):
    return Run(
        directory=tmp_path / f"{name}{seed}",
        config=overlay(name=name, seed=seed, **changes),
        experiment=name,
        scores=scores,
        parameters=2_500_000,
        records=(),
    )


def test_the_last_evaluation_and_those_on_other_data_count(tmp_path):
    directory = write_run(tmp_path / "run", name="table6_hard_easy_pairs", whdr=0.11)
    write_evaluation(directory, "rmse", rmse=1.25, whdr=0.9)
    write_evaluation(directory, "si_rmse", rmse=0.9, si_rmse=0.4)
    run = read_run(directory)
    assert (run.experiment, run.config.seed, run.parameters) == ("table6_hard_easy", 0, 2_580_225)
    assert run.scores == {"whdr": 0.11, "rmse": 1.25, "si_rmse": 0.4}
    assert run.records[-1] == {"step": 2, "eval/whdr": 0.11}


def test_the_name_of_an_evaluation_is_a_metric(tmp_path):
    run = write_run(tmp_path / "run", name="mine")
    write_evaluation(run, "nyu", rmse=1.25)
    with pytest.raises(UserError, match=r"nyu\.json: name the file after the metric"):
        read_run(run)
    (run / "evaluations" / "nyu.json").write_text('{"rmse": 1.')
    with pytest.raises(UserError, match=r"nyu\.json:1: not valid JSON .*; correct it or move it away"):
        read_run(run)


def test_a_run_without_evaluations(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(overlay(name="young").to_dict()))
    with pytest.raises(UserError, match="has no evaluation yet"):
        read_run(tmp_path)


def test_seeds_are_averaged_and_experiments_sorted_into_the_tables_of_the_paper(tmp_path):
    runs = [
        make_run(tmp_path, "mine", {"whdr": 0.3}),
        make_run(tmp_path, "table6_hard_easy", {"whdr": 0.11, "rmse": 1.25}),
        make_run(tmp_path, "table6_no_rebalancing", {"whdr": 0.20}),
        make_run(tmp_path, "table6_no_rebalancing", {"whdr": 0.24}, seed=1),
    ]
    tables = make_tables(runs)
    assert list(tables) == ["Table 6: loss rebalancing", "Other runs"]
    off, hard = tables["Table 6: loss rebalancing"]
    assert off.title == figures.ROWS["table6_no_rebalancing"].title
    assert (off.seeds, off.mean, off.deviation) == (
        2,
        {"whdr": pytest.approx(0.22)},
        {"whdr": np.std([0.2, 0.24], ddof=1)},
    )
    assert off.paper == {"whdr": 0.1198, "rmse": 1.303, "si_rmse": 0.4213}
    assert (hard.seeds, hard.mean, hard.deviation) == (1, {"whdr": 0.11, "rmse": 1.25}, {})
    (mine,) = tables["Other runs"]
    assert (mine.title, mine.paper) == ("mine", {})

    cells = format_rows([off, hard])
    assert [row["whdr"] for row in cells] == ["0.2200 +- 0.0283", "0.1100"]
    assert [row["rmse"] for row in cells] == ["", "1.2500"]
    assert [row["change"] for row in cells] == ["+0.0 %", "-50.0 %"]
    assert [row["paper change"] for row in cells] == ["+0.0 %", f"{100 * (0.1156 / 0.1198 - 1):+.1f} %"]
    assert format_rows([mine]) == [{"": "mine", "seeds": 1, "whdr": "0.3000", "change": "+0.0 %"}]


def test_runs_of_one_experiment_may_differ_in_the_seed_alone(tmp_path):
    first = make_run(tmp_path, "mine", {"whdr": 0.3})
    second = make_run(tmp_path, "mine", {"whdr": 0.3}, seed=1, train={"epochs": 9})
    with pytest.raises(UserError, match=r"are both mine, but differ in more than the seed \(train\.epochs"):
        make_tables([first, second])


def test_markdown():
    lines = format_markdown({"Other runs": [{"": "mine", "whdr": "0.3000"}]}).splitlines()
    assert lines[0] == "## Other runs"
    assert [cell.strip() for cell in lines[-1].strip("|").split("|")] == ["mine", "0.3000"]


def test_runs_without_whdr_are_not_in_figure_1(tmp_path):
    runs = [make_run(tmp_path, "pairs", {"whdr": 0.3}), make_run(tmp_path, "maps", {"rmse": 0.6})]
    published, ours = make_tradeoff(runs).values()
    assert [point.label for point in ours] == ["pairs0"]
    assert (ours[0].parameters, ours[0].whdr) == (2.5, 0.3)
    assert len(published) == len(figures.METHODS)
    assert list(make_tradeoff(runs[1:])) == ["Table 7 of the paper, on DIW"]
