import importlib.util
import pathlib

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training import config as configuration

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


def get_config(file, variant=""):
    spec = importlib.util.spec_from_file_location(file, CONFIGS / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"train": {"epoch": 3}}, "config.train.epoch is unknown; did you mean config.train.epochs"),
        ({"traim": {"epochs": 3}}, "config.traim.epochs is unknown; did you mean config.train.epochs"),
        ({"nonsense": 3}, "config.nonsense is unknown"),
        ({"train": {"epochs": "three"}}, "config.train.epochs is 'three'; it must be of type int"),
        (
            {"optim": {"learning_rate": "fast"}},
            "config.optim.learning_rate is 'fast'; it must be of type float",
        ),
    ],
)
def test_overlay_names_the_key(groups, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        configuration.overlay(**groups)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rebalance.order", "random"),
        ("optim.schedule", "linear"),
        ("data.batch_size", 0),
        ("train.epochs", -1),
        ("data.root", ""),
        ("data.crop", "left"),
        ("data.scale", 0.5),
    ],
)
def test_check_names_the_key(key, value):
    config = configuration.overlay(data={"root": "somewhere"})
    configuration.check(config)
    configuration.override(config, key, value)
    with pytest.raises(UserError, match=rf"config\.{key}"):
        configuration.check(config)


def test_scenes_need_counts():
    with pytest.raises(UserError, match=r"data\.count"):
        configuration.check(configuration.overlay(data={"source": "scenes"}))


def test_workdir_of_another_configuration_is_refused(tmp_path):
    config = configuration.overlay(seed=1)
    configuration.bind_to_workdir(config, tmp_path / "run")
    configuration.bind_to_workdir(config, tmp_path / "run")
    assert configuration.differences(config, configuration.load(tmp_path / "run")) == []
    other = configuration.overlay(seed=2)
    with pytest.raises(UserError, match=r"another configuration \(seed: 2, there 1\)"):
        configuration.bind_to_workdir(other, tmp_path / "run")
    assert configuration.load(tmp_path / "run").seed == 1


def test_load_errors(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        configuration.load(tmp_path)
    (tmp_path / "config.json").write_text('{"seed": \n')
    with pytest.raises(UserError, match=r"config\.json:2: not valid JSON"):
        configuration.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "variant"), [("kd", ""), ("kd", "pairs"), ("kd", "diw"), ("teacher", ""), ("teacher", "folder")]
)
def test_shipped_configs_pass_the_check(file, variant):
    config = get_config(file, variant)
    if config.data.source == "folder":
        config.data.root = "somewhere"
    configuration.check(config)


def test_diw_is_the_paper_verbatim():
    config = get_config("kd", "diw")
    assert (config.data.batch_size, config.train.epochs, config.data.height, config.data.width) == (
        4,
        5,
        224,
        448,
    )
    assert (config.optim.learning_rate, config.optim.schedule, config.optim.decay_rate) == (
        1e-4,
        "staircase",
        0.5,
    )
    assert config.optim.decay_every_epochs == 1
    assert (config.rebalance.order, config.rebalance.events_per_epoch) == ("hard_to_easy", 5)
    assert config.rebalance.fixed_intermediate
    assert not config.rebalance.weight_initialization
    assert config.model.heads == 2


@pytest.mark.parametrize("file", ["kd", "teacher"])
def test_unknown_variant(file):
    with pytest.raises(UserError, match="no variant 'other'"):
        get_config(file, "other")
