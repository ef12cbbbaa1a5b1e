import json
import pathlib

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.models import Header, Weights, default_config
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import differences, overlay, override
from mdepth_jax.training.run_directory import bind_to_workdir, config_of_weights, load_config
from mdepth_jax.training.stages import load_file
from tests.models.test_depth_net import build_small

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


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
        overlay(**groups)


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
    config = overlay(data={"root": "somewhere"})
    check_config(config)
    override(config, key, value)
    with pytest.raises(UserError, match=rf"config\.{key}"):
        check_config(config)


def test_scenes_need_counts():
    with pytest.raises(UserError, match=r"data\.count"):
        check_config(overlay(data={"source": "scenes"}))


def test_workdir_of_another_configuration_is_refused(tmp_path):
    config = overlay(seed=1)
    bind_to_workdir(config, tmp_path / "run")
    bind_to_workdir(config, tmp_path / "run")
    assert differences(config, load_config(tmp_path / "run")) == []
    other = overlay(seed=2)
    with pytest.raises(UserError, match=r"another configuration \(seed: 2, there 1\)"):
        bind_to_workdir(other, tmp_path / "run")
    assert load_config(tmp_path / "run").seed == 1


def test_load_errors(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text('{"seed": \n')
    with pytest.raises(UserError, match=r"config\.json:2: not valid JSON"):
        load_config(tmp_path)


def test_diw_is_the_paper_verbatim():
    config = load_file(CONFIGS / "kd.py", "diw")
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


def test_mtadam_balances_alone_and_mannequin_compares_logarithms():
    config = overlay(data={"root": "somewhere"}, optim={"optimizer": "mtadam"})
    with pytest.raises(UserError, match=r"set `config\.rebalance\.order=off`"):
        check_config(config)
    config = overlay(data={"root": "somewhere"}, loss={"terms": "mannequin"})
    with pytest.raises(UserError, match=r"set `config\.data\.log=1\.0`"):
        check_config(config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data.jitter", 1.5, "config.data.jitter is 1.5; it must lie between 0 and 1"),
        ("data.scale", 0.5, "config.data.scale is 0.5; it must lie between 1 and inf"),
        ("data.sampled_pairs", -1, "config.data.sampled_pairs is -1"),
        ("loss.drop_easy", 2.0, "config.loss.drop_easy is 2.0"),
        ("loss.drop_easy", 1.0, "config.loss.drop_easy is 1.0, which leaves no pair"),
        ("optim.weight_decay", 1e-4, "`config.optim.weight_decay` is 0.0001, but 'adam' has none"),
        ("loss.weights.l1", -1.0, "config.loss.weights: a weight is negative"),
        ("loss.terms", "pixelwise+holistic", "set `config.rebalance.order=off`"),
    ],
)
def test_values_out_of_range(key, value, message):
    config = overlay(data={"root": "somewhere"})
    override(config, key, value)
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        check_config(config)


def test_a_run_of_an_earlier_version_gets_the_defaults_of_later_keys(tmp_path):
    saved = overlay(seed=3).to_dict()
    del saved["discriminator"], saved["optim"]["optimizer"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert differences(load_config(tmp_path), overlay(seed=3)) == []
    (tmp_path / "config.json").write_text(json.dumps(saved | {"future": 1}))
    with pytest.raises(UserError, match=r"config\.json: written by another version"):
        load_config(tmp_path)


def test_a_start_that_was_moved_is_no_other_configuration(tmp_path):
    bind_to_workdir(overlay(model={"start": "here"}), tmp_path)
    bind_to_workdir(overlay(model={"start": "there"}), tmp_path)


def test_weights_that_do_not_tell_their_run(tmp_path):
    with pytest.raises(UserError, match=r"other\.safetensors: its header lacks the run's configuration"):
        config_of_weights(Weights(tmp_path / "other.safetensors", build_small(), default_config(), Header()))
