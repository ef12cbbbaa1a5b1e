import json

import jax

from mdepth_jax.training import environment


def test_every_start_has_an_entry(tmp_path):
    for _ in range(2):
        environment.record(tmp_path)
    first, second = json.loads((tmp_path / "environment.json").read_text())
    assert first["packages"] == second["packages"]
    assert first["packages"]["jax"] == jax.__version__
    assert first["devices"] == ["cpu", "cpu"]


def test_the_entry_of_an_earlier_version_stays(tmp_path):
    (tmp_path / "environment.json").write_text('{"started": "then"}')
    environment.record(tmp_path)
    assert json.loads((tmp_path / "environment.json").read_text())[0] == {"started": "then"}
