"""A search from the command line, at tiny size."""

import csv
import json

import pytest

from mdepth_jax import benchmark, prune
from mdepth_jax.errors import UserError
from mdepth_jax.models import count_parameters, load_weights
from mdepth_jax.models.widths import read_widths
from tests.pruning.runs import compiling_quickly, write_run


@pytest.fixture(autouse=True, scope="module")
def quick_to_compile():
    with compiling_quickly():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "whole")


def read_rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_search(run, tmp_path, capsys):
    workdir = tmp_path / "run"
    flags = ["--model", str(run), "--workdir", str(workdir), "--target_params", "315e3", "--first_step", "0.15",
             "--short_steps", "2", "--config.optim.learning_rate=0.01"]  # fmt: skip
    assert prune.main(flags) == 0
    printed = capsys.readouterr().out
    assert "2 intermediate heads; they are dropped" in printed
    assert (workdir / "report.md").read_text() in printed
    weights = load_weights(workdir)
    assert count_parameters(weights.model) <= 315e3
    assert (weights.config.heads, weights.header.pairs) == (0, 2)  # of the validation part
    assert weights.header.scores.keys() == {"whdr"}
    assert [earlier.config["model"]["heads"] for earlier in weights.header.earlier] == [2]
    assert json.loads((workdir / "config.json").read_text())["optim"]["learning_rate"] == 0.01
    whole = load_weights(run).model
    before, after = read_widths(whole), read_widths(weights.model)
    for row in read_rows(workdir / "widths.csv"):
        assert (int(row["in before"]), int(row["out before"])) == before[row["layer"]]
        assert (int(row["in after"]), int(row["out after"])) == after[row["layer"]]
    resources = [float(row["params"]) for row in read_rows(workdir / "iterations.csv")]
    assert len(resources) >= 3  # the initial network and at least two iterations
    assert (resources[0], resources[-1]) == (count_parameters(whole), count_parameters(weights.model))
    assert resources == sorted(resources, reverse=True)
    assert "| rendered scenes of mdepth_jax | Apache-2.0" in printed

    assert prune.main(flags) == 0  # nothing is left to do
    assert (workdir / "report.md").read_text() in capsys.readouterr().out
    with pytest.raises(UserError, match=r"belongs to another search .*first_step: '0\.3', there '0\.15'"):
        prune.main([*flags, "--first_step", "0.3"])


def test_a_latency_that_was_measured_here(run, tmp_path, capsys):
    """From the table to the narrower network; the times are whatever they are."""
    table, result, workdir = tmp_path / "table.csv", tmp_path / "result.json", tmp_path / "pruned"
    measure = ["layers", "--model", str(run), "--output", str(table), "--json", str(result), "--rounds", "1"]
    assert benchmark.main(measure) == 0
    assert "sum_ms" in capsys.readouterr().out
    (measured,) = json.loads(result.read_text())
    assert measured["ratio"] == measured["sum_ms"] / measured["whole_ms"] > 0
    flags = ["--model", str(run), "--workdir", str(workdir), "--latency_table", str(table), "--one_shot"]
    with pytest.raises(UserError, match=r"with 8 channels in every group the network still has .* ms"):
        prune.main([*flags, "--target_latency_ms", "1e-4"])
    assert not workdir.exists()
    target = 0.97 * measured["sum_ms"]
    assert prune.main([*flags, "--target_latency_ms", str(target)]) == 0
    first, *_ = (workdir / "report.md").read_text().splitlines()[2:]
    before, after = (float(part.split()[0]) for part in first.split(";")[0].split(" -> "))
    assert before == pytest.approx(measured["sum_ms"], abs=0.01)
    assert after <= target + 0.01
    assert count_parameters(load_weights(workdir).model) < count_parameters(load_weights(run).model)


REQUIRED = ["--model", "run", "--workdir", "small", "--target_params", "1e6"]


def test_keys_of_the_configuration_may_stand_anywhere():
    flags = prune.parse(["--config.data.eval=select", *REQUIRED, "--config.seed=1", "--config.data.root=/a=b"])
    assert flags.overrides == {"data.eval": "select", "seed": 1, "data.root": "/a=b"}
    assert flags.target == ("params", 1e6)
    assert "overrides" not in flags.describe()
    assert flags.describe()["target_params"] == "1000000.0"


@pytest.mark.parametrize("flag", ["--target_watts=3", "--konfig.seed=1", "--target_macs=3"])
def test_unknown_flags(flag, capsys):
    with pytest.raises(SystemExit):
        prune.parse([*REQUIRED, flag])
    assert flag.split("=")[0] in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--config.seed"], "`config.seed` has no value"), (["--decay", "1.1"], "`decay` above 0 and at most at 1")],
)
def test_mistakes_in_values(flags, message):
    with pytest.raises(UserError, match=message):
        prune.parse([*REQUIRED, *flags])
