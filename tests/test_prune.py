"""A whole search from the command line, at tiny size."""

import csv
import json
import re

import jax
import numpy as np
import pytest
from flax import nnx

from mdepth_jax import benchmark, prune, train
from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, count_parameters, depthwise, layers, load_weights, save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.models.widths import read_widths
from mdepth_jax.pruning import setup
from mdepth_jax.training.config import overlay
from mdepth_jax.training.run_directory import load_config
from mdepth_jax.training.stages import load_file
from tests.test_configs import CONFIGS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with two heads, as training leaves it."""
    config = overlay(
        name="tiny",
        model={"encoder": "mobilenet_v1", "width": 0.25},
        data={"source": "scenes", "count": 4, "eval_count": 4, "height": 32, "width": 32, "batch_size": 2},
        loss={"terms": "ranking+dense"},
        train={"epochs": 1, "log_every": 1},
    )
    directory = tmp_path_factory.mktemp("runs") / "whole"
    directory.mkdir()
    model = build_model(config.model, rngs=nnx.Rngs(0))
    save_weights(directory / "model.safetensors", model, config.model, Header(TrainingRun(config=config.to_dict())))
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    return directory


@pytest.fixture(autouse=True, scope="module")
def quick_to_compile():
    """XLA's convolutions compile fastest; `optax.adam` raises its decay to an integer power."""
    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        for module in (depthwise, layers):
            patch.setattr(module, "default_implementation", lambda: "lax")
        yield


def flags(run, workdir, target="330e3"):
    return ["--model", str(run), "--workdir", str(workdir), "--target_params", target, "--first_step", "0.15",
            "--short_steps", "2", "--config.optim.learning_rate=0.01"]  # fmt: skip


@pytest.fixture(scope="module")
def pruned(run, tmp_path_factory):
    """A finished search, and what it printed."""
    workdir = tmp_path_factory.mktemp("pruned") / "run"
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert prune.main(flags(run, workdir)) == 0
    return workdir, "\n".join(said)


def test_the_result_is_an_ordinary_run(run, pruned):
    workdir, said = pruned
    assert "2 intermediate heads; they are dropped" in said
    weights = load_weights(workdir)
    model, config, header = weights.model, weights.config, weights.header
    assert count_parameters(model) <= 330e3
    assert config.heads == 0
    assert header.scores.keys() == {"whdr"}
    whole = load_weights(run).model
    before, after = read_widths(whole), read_widths(model)
    with (workdir / "widths.csv").open() as file:
        rows = {row["layer"]: row for row in csv.DictReader(file)}
    assert rows.keys() == before.keys()
    for path, row in rows.items():
        assert (int(row["in before"]), int(row["out before"])) == before[path]
        assert (int(row["in after"]), int(row["out after"])) == after[path]
    with (workdir / "iterations.csv").open() as file:
        iterations = list(csv.DictReader(file))
    assert len(iterations) >= 3  # the start and at least two
    resources = [float(row["params"]) for row in iterations]
    assert resources[0] == count_parameters(whole)
    assert resources[-1] == count_parameters(model)
    assert resources == sorted(resources, reverse=True)
    assert (workdir / "tradeoff.png").exists()
    assert header.pairs == 4
    assert [earlier.config["model"]["heads"] for earlier in header.earlier] == [2]
    assert "larger = farther" in said
    assert "| rendered scenes of mdepth_jax | Apache-2.0" in said


def test_it_trains_on_with_the_command_that_is_printed(pruned, tmp_path):
    workdir, said = pruned
    assert f"--config configs/finetune.py:{workdir} --workdir {workdir}/finetuned" in said
    config = load_file(CONFIGS / "finetune.py", str(workdir))
    trainer, _ = train.prepare(config, tmp_path / "finetuned")
    expected = load_weights(workdir).model
    started = nnx.merge(trainer.graph, trainer.state.params, trainer.state.batch_stats)
    for name, variable in named_tensors(expected).items():
        np.testing.assert_array_equal(named_tensors(started)[name], variable)
    assert [run.config["name"] for run in trainer.earlier] == ["tiny", "tiny_pruned"]


def test_without_a_search_every_group_keeps_the_same_share(run, tmp_path, capsys):
    workdir = tmp_path / "cut"
    assert prune.main([*flags(run, workdir), "--one_shot"]) == 0
    assert f"--config configs/finetune.py:{workdir}" in capsys.readouterr().out
    weights = load_weights(workdir)
    model = weights.model
    assert 300e3 < count_parameters(model) <= 330e3
    assert weights.header.scores == {}
    before, after = read_widths(load_weights(run).model), read_widths(model)
    shares = np.array([after[path][1] / out for path, (_, out) in before.items() if out >= 64])
    assert np.ptp(shares) <= 8 / 64
    assert load_file(CONFIGS / "finetune.py", str(workdir)).optim.learning_rate == pytest.approx(0.001)


def test_a_pruned_run_can_be_pruned_again(pruned, tmp_path):
    chosen_by = "--config.data.eval=select"
    args, overrides = prune.parse([*flags(pruned[0], tmp_path / "again", target="300e3"), chosen_by])
    search = setup.make_search(prune.open_flags(args, overrides), args.workdir, {})
    weights = load_weights(pruned[0])
    model, config = weights.model, weights.config
    assert search.resource.measure(search.structure.shapes) == count_parameters(model)
    assert search.config.model.widths == config.widths
    assert (search.config.data.eval, search.run_config.data.eval) == ("select", "test")


def test_a_start_brings_its_widths(run, pruned, tmp_path):
    workdir, _ = pruned
    config = load_config(run)
    config.model.start = str(workdir)
    with pytest.raises(UserError, match=r"a pruned network \(model\.widths\) has none: set it to 0"):
        train.prepare(config, tmp_path / "run")
    assert config.model.widths == load_config(workdir).model.widths != ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--target_params", "9e9"], "the target is 9,000,000,000 parameters, the network has"),
        (["--target_params", "1e3"], "with 8 channels in every group"),
        (["--model", "nowhere"], "nowhere does not exist"),
        (["--config.model.colour=1"], "config.model.colour is unknown"),
        (["--config.optim.optimizer=adm"], "config.optim.optimizer is 'adm'"),
    ],
)
def test_mistakes(run, change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        prune.main([*flags(run, tmp_path / "new"), *change])
    assert not (tmp_path / "new").exists()


def test_a_latency_that_was_measured_here(run, tmp_path, capsys):
    """From the table to the narrower network; the times are whatever they are."""
    table, result = tmp_path / "table.csv", tmp_path / "result.json"
    where = ["--output", str(table), "--json", str(result), "--rounds", "1"]
    assert benchmark.main(["layers", "--model", str(run), *where]) == 0
    assert re.search(r"sum_ms +whole_ms +ratio", capsys.readouterr().out)
    (measured,) = json.loads(result.read_text())
    assert measured["ratio"] == measured["sum_ms"] / measured["whole_ms"] > 0

    def prune_to(milliseconds):
        return prune.main(
            ["--model", str(run), "--workdir", str(tmp_path / "pruned"), "--target_latency_ms", str(milliseconds),
             "--latency_table", str(table), "--first_step", "0.9", "--short_steps", "1", "--evaluation_batches", "1"]
        )  # fmt: skip

    with pytest.raises(UserError, match=r"with 8 channels in every group the network still has .* ms"):
        prune_to(1e-4)
    assert prune_to(0.97 * measured["sum_ms"]) == 0
    with (tmp_path / "pruned" / "iterations.csv").open() as file:
        start, *_, end = csv.DictReader(file)
    assert float(start["latency_ms"]) == pytest.approx(measured["sum_ms"], rel=1e-5)  # the table has six digits
    assert float(end["latency_ms"]) <= 0.97 * measured["sum_ms"]


def test_directories_of_others(run, pruned):
    with pytest.raises(UserError, match="holds a run already"):
        prune.main(flags(run, run))
    with pytest.raises(UserError, match=r"belongs to another search .*target_params: '300000\.0', there '330000\.0'"):
        prune.main(flags(run, pruned[0], target="300e3"))


@pytest.mark.parametrize("flag", ["--target_watts=3", "--konfig.seed=1", "--config.seed"])
def test_unknown_flags(run, flag, tmp_path, capsys):
    with pytest.raises(SystemExit):
        prune.main([*flags(run, tmp_path / "new"), flag])
    assert f"unrecognized argument: {flag}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [["--first_step", "0"], ["--decay", "1.1"], ["--short_steps", "0"], ["--learning_rate", "-1"],
     ["--evaluation_batches", "-1"]],
)  # fmt: skip
def test_settings_that_would_never_end_or_teach(flags, capsys):
    with pytest.raises(SystemExit):
        prune.parse(["--model", "run", "--workdir", "small", "--target_params", "1e6", *flags])
    assert flags[0] in capsys.readouterr().err.splitlines()[-1]
