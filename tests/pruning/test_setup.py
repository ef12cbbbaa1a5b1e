import shutil

import numpy as np
import pytest
from flax import nnx

from mdepth_jax import prepare, train
from mdepth_jax.errors import UserError
from mdepth_jax.models import count_parameters, load_weights
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.models.widths import read_widths
from mdepth_jax.pruning import setup
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.training.run_directory import load_config
from mdepth_jax.training.stages import load_file
from tests.pruning.runs import write_run
from tests.test_configs import CONFIGS

pytestmark = pytest.mark.usefixtures("quick_to_compile")
FLAGS = {"target_params": "330e3"}


def load_task(run, budget=330e3, **overrides):
    """Loads a run; the keys of the configuration are given with underscores in the place of their first dot."""
    overrides = {key.replace("_", ".", 1): value for key, value in overrides.items()}
    return setup.load_task(run, resource="params", settings=Settings(budget=budget), overrides=overrides)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "whole", terms="ranking+dense+holistic")


@pytest.fixture(scope="module")
def task(run):
    return load_task(run)


@pytest.fixture(scope="module")
def pruned(task, tmp_path_factory):
    """A run that was pruned without a search, and its summary."""
    workdir = tmp_path_factory.mktemp("pruned") / "run"
    return workdir, setup.prune_in_one_shot(task, workdir, FLAGS)


def test_without_a_search_every_group_keeps_the_same_share(task, pruned):
    workdir, text = pruned
    assert f"--config configs/finetune.py:{workdir} --workdir {workdir}/finetuned" in text
    weights = load_weights(workdir)
    assert 300e3 < count_parameters(weights.model) <= 330e3
    assert weights.header.scores == {}
    assert [earlier.config["model"]["heads"] for earlier in weights.header.earlier] == [2]
    before, after = read_widths(task.model), read_widths(weights.model)
    shares = np.array([after[path][1] / out for path, (_, out) in before.items() if out >= 64])
    assert np.ptp(shares) <= 8 / 64


def test_a_pruned_run_is_fine_tuned_from_its_weights_and_widths(run, pruned, tmp_path):
    workdir, _ = pruned
    config = load_file(CONFIGS / "finetune.py", str(workdir))
    assert config.optim.learning_rate == pytest.approx(0.1 * load_config(run).optim.learning_rate)
    config.loss.terms = "ranking+dense"
    trainer = train.prepare(config, tmp_path / "finetuned")
    started = named_tensors(nnx.merge(trainer.graph, trainer.state.params, trainer.state.batch_stats))
    for name, variable in named_tensors(load_weights(workdir).model).items():
        np.testing.assert_array_equal(started[name], variable)
    assert [run.config["name"] for run in trainer.earlier] == ["tiny", "tiny_pruned"]


def test_a_start_brings_its_widths(run, pruned, tmp_path):
    workdir, _ = pruned
    config = load_config(run)
    config.model.start, config.loss.terms = str(workdir), "ranking+dense"
    with pytest.raises(UserError, match=r"a pruned network \(`config\.model\.widths`\) has none"):
        train.prepare(config, tmp_path / "run")
    assert config.model.widths == load_config(workdir).model.widths != ()


def test_a_pruned_run_can_be_pruned_again_by_other_held_out_data(pruned, tmp_path, capsys):
    workdir, _ = pruned
    folder = tmp_path / "scenes"
    prepare.main(["scenes", "--output", str(folder), "--count", "4"])
    shutil.copy(folder / "pairs_test.csv", folder / "pairs_select.csv")
    task = load_task(workdir, budget=300e3, data_source="folder", data_root=str(folder), data_val="select")
    weights = load_weights(workdir)
    assert task.resource.measure(task.structure.shapes) == count_parameters(weights.model)
    assert (task.config.data.val, task.run_config.data.val) == ("select", "")
    larger = load_task(workdir, budget=300e3, data_val_share=0.75)
    assert (larger.config.data.val_share, larger.run_config.data.val_share) == (0.75, 0.5)
    search = setup.make_search(task, tmp_path / "again", FLAGS)
    assert search.task.config.model.widths == weights.config.widths
    assert "The discriminator stays out of the search" in capsys.readouterr().out
    assert search.task.config.loss.terms == "ranking+dense"
    assert search.task.run_config.loss.terms == "ranking+dense+holistic"


def test_heads_are_dropped(run, capsys):
    assert load_task(run).config.model.heads == 0
    assert "2 intermediate heads; they are dropped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("budget", "overrides", "message"),
    [
        (9e9, {}, "the target is 9,000,000,000 parameters, the network has"),
        (1e3, {}, "with 8 channels in every group"),
        (330e3, {"model_hats": 1}, r"config\.model\.hats"),
        (330e3, {"optim_optimizer": "adm"}, r"config\.optim\.optimizer"),
        (
            330e3,
            {"data_eval": "select"},
            r"`config\.data\.eval` is 'select', which only .*`config\.data\.source=folder`",
        ),
    ],
)
def test_mistakes(run, budget, overrides, message):
    with pytest.raises(UserError, match=message):
        load_task(run, budget, **overrides)


def test_directories_of_others(run, task, pruned):
    with pytest.raises(UserError, match="holds a run already; choose another `workdir`"):
        setup.prune_in_one_shot(task, run, FLAGS)
    with pytest.raises(UserError, match=r"belongs to another search .*target_params: '300e3', there '330e3'"):
        setup.prune_in_one_shot(task, pruned[0], {"target_params": "300e3"})
