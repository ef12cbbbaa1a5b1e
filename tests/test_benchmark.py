import json

import pytest

from mdepth_jax import benchmark
from mdepth_jax.errors import UserError


def test_data_table(capsys, tmp_path, monkeypatch):
    """A batch is larger than what a round takes; a clock tells 6 seconds one by one and 2 in the pipeline."""
    taken, seconds = [], iter([6.0, 2.0])

    def timed(function):
        taken.append(function())
        return next(seconds)

    monkeypatch.setattr(benchmark, "timed", timed)
    benchmark.main(["data", "--height", "12", "--width", "16", "--rounds", "1", "--batch_size", "48", "--json",
                    str(tmp_path / "table.json")])  # fmt: skip
    assert "scenes, pipeline" in capsys.readouterr().out
    one_by_one, batches = taken
    assert len(one_by_one) == sum(len(batch["image"]) for batch in batches) == 48
    assert json.loads((tmp_path / "table.json").read_text()) == [
        {"source": "scenes, one by one", "images_per_second": 8, "times_faster": 1},
        {"source": "scenes, pipeline", "images_per_second": 24, "times_faster": 3},
    ]


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
