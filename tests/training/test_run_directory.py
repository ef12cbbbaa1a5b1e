import json

import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import Header, TrainingRun, Weights, build_model
from mdepth_jax.training.config import differences, overlay
from mdepth_jax.training.run_directory import bind_to_workdir, config_of_weights, load_config


def test_workdir_of_another_configuration_is_refused(tmp_path):
    config = overlay(seed=1)
    bind_to_workdir(config, tmp_path / "run")
    bind_to_workdir(config, tmp_path / "run")
    assert differences(config, load_config(tmp_path / "run")) == []
    with pytest.raises(UserError, match=r"another configuration \(seed: 2, there 1\); choose another `workdir`"):
        bind_to_workdir(overlay(seed=2), tmp_path / "run")
    assert load_config(tmp_path / "run").seed == 1


def test_hosts_other_than_the_first_write_nothing(tmp_path):
    bind_to_workdir(overlay(), tmp_path / "run", writes=False)
    assert not (tmp_path / "run").exists()


def test_load_errors(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text('{"seed": \n')
    with pytest.raises(UserError, match=r"config\.json:2: not valid JSON"):
        load_config(tmp_path)


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


def test_what_nothing_reads_and_what_a_recipe_needs_is_no_other_configuration(tmp_path):
    """Earlier versions wrote the first and did not know the second."""
    saved = overlay(optim={"momentum": 0.5}, teacher={"run": "RUN"}, loss={"terms": "ranking"}).to_dict()
    del saved["needs"], saved["without"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert (load_config(tmp_path).optim.momentum, load_config(tmp_path).teacher.run) == (0.9, "")
    bind_to_workdir(overlay(needs="ranking+pretrained", loss={"terms": "ranking"}), tmp_path)
    with pytest.raises(UserError, match="another configuration"):
        bind_to_workdir(overlay(needs="ranking+pretrained"), tmp_path)


def test_configuration_in_the_header_of_weights(tmp_path):
    config = overlay(seed=5, model={"encoder": "mobilenet_v1", "width": 0.25})
    model = build_model(config.model, rngs=nnx.Rngs(0))
    header = Header(run=TrainingRun(config=config.to_dict()))
    weights = Weights(tmp_path / "run.safetensors", model, config.model, header)
    assert differences(config_of_weights(weights), config) == []
    with pytest.raises(UserError, match=r"run\.safetensors: its header lacks the run's configuration"):
        config_of_weights(Weights(weights.path, model, config.model, Header()))
