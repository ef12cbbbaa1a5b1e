import json

import pytest

from mdepth_jax import benchmark
from mdepth_jax.errors import UserError


def test_data_table(capsys, tmp_path):
    benchmark.main(["data", "--height", "12", "--width", "16", "--rounds", "1", "--json", str(tmp_path / "table.json")])
    assert "scenes, pipeline" in capsys.readouterr().out
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [row["source"] for row in rows] == ["scenes, one by one", "scenes, pipeline"]
    assert rows[0]["times_faster"] == 1


def test_step_and_balancers_share_their_flags():
    for what in ("step", "balancers", "data"):
        args = benchmark.parse([what, "--batch_size", "2", "--height", "32", "--rounds", "3"])
        assert (args.batch_size, args.height, args.width, args.rounds) == (2, 32, 448, 3)


def test_tflite_files_on_a_phone_need_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "none.tflite").write_bytes(b"none")
    with pytest.raises(UserError, match="damaged or not a"):
        benchmark.main(["tflite", str(tmp_path / "none.tflite"), "--device", "adb"])


def test_layers_of_what_is_no_run(tmp_path):
    (tmp_path / "notes.safetensors").write_text("none")
    for name, message in {"nowhere": "nowhere does not exist", "notes.safetensors": "not a safetensors file"}.items():
        with pytest.raises(UserError, match=message):
            benchmark.main(["layers", "--model", str(tmp_path / name), "--output", str(tmp_path / "table.csv")])
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize(
    "flags", [["step", "--rounds", "0"], ["tflite", "--threads", "1"], ["layers", "--model", "run"], ["none"], []]
)
def test_wrong_flags(flags):
    with pytest.raises(SystemExit) as error:
        benchmark.parse(flags)
    assert error.value.code == 2
