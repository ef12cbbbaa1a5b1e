import pathlib

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training.config import overlay
from mdepth_jax.training.stages import check_runs, load_file, load_neighbor, runs, staged

WORKDIR = pathlib.Path("runs")


def two_stages():
    first, second = (overlay(name=name, data={"root": "DIR"}) for name in ("one", "other"))
    return staged("both", {"b": first, "a": second})


def test_a_single_run_is_one_run():
    config = overlay()
    assert runs(config, WORKDIR) == {WORKDIR: config}


def test_every_stage_starts_from_the_one_before():
    """In the order that was given, which need not be that of the names."""
    found = runs(two_stages(), WORKDIR)
    assert [directory.name for directory in found] == ["b", "a"]
    assert [run.model.start for run in found.values()] == ["", "runs/b"]
    assert [run.name for run in found.values()] == ["one", "both"]


def test_stages_train_one_network():
    config = two_stages()
    config.stages.a.model.heads = 0
    runs(config, WORKDIR)
    config.stages.a.model.width = 0.5
    with pytest.raises(UserError, match=r"`config\.stages\.a\.model` differs .*\(width: 1\.0, there 0\.5\)"):
        runs(config, WORKDIR)


def test_a_mistake_names_its_stage():
    config = two_stages()
    check_runs(runs(config, WORKDIR))
    config.stages.a.train.epochs = 0
    with pytest.raises(UserError, match=r"stage a, whose keys are below `config\.stages\.a`: `config\.train\.epochs`"):
        check_runs(runs(config, WORKDIR))
    with pytest.raises(UserError, match=r"^`config\.data\.root` is empty"):
        check_runs(runs(overlay(), WORKDIR))


def test_files_load_their_neighbors(tmp_path):
    (tmp_path / "one.py").write_text(
        "from ml_collections import ConfigDict\ndef get_config(variant='plain'): return ConfigDict({'name': variant})"
    )
    (tmp_path / "other.py").write_text(
        "from mdepth_jax.training.stages import load_neighbor\n"
        "def get_config(variant=''): return load_neighbor(__file__, 'one.py', variant)"
    )
    assert load_file(tmp_path / "other.py").name == "plain"
    assert load_file(str(tmp_path / "other.py"), "a:b").name == "a:b"
    assert load_neighbor(str(tmp_path / "other.py"), "one.py").name == "plain"
