import json
from pathlib import Path

import pytest

from mdepth_jax import benchmark
from mdepth_jax.errors import UserError
from mdepth_jax.models import TEACHERS
from mdepth_jax.pruning.layer_timing import NetworkTiming
from mdepth_jax.tflite import timing
from tests.tflite.networks import convert_network


def test_table_of_a_benchmark_on_batches(capsys, tmp_path, monkeypatch):
    rows = [{"source": "one by one", "images_per_second": 8.0}, {"source": "pipeline", "images_per_second": 24.0}]
    monkeypatch.setitem(
        benchmark.BATCH_BENCHMARKS, "data", lambda *arguments: rows if arguments == (48, 12, 16, 1) else []
    )
    flags = ["--height", "12", "--width", "16", "--rounds", "1", "--batch_size", "48"]
    assert benchmark.main(["data", *flags, "--json", str(tmp_path / "table.json")]) == 0
    setting, header, _, *lines = capsys.readouterr().out.splitlines()
    assert setting.endswith("batch 48, 12x16")
    assert header.split() == ["source", "images_per_second"]
    assert [line.split()[-1] for line in lines] == ["8", "24"]
    assert json.loads((tmp_path / "table.json").read_text()) == rows


def test_table_of_files(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "BURST", 1)
    path, table = tmp_path / "m.tflite", tmp_path / "table.json"
    path.write_bytes(convert_network())
    assert benchmark.main(["tflite", str(path), str(path), "--rounds", "1", "--json", str(table)]) == 0
    printed = capsys.readouterr().out
    assert "m.tflite, not_delegated: none\n" in printed
    assert "20 CONV_2D" in printed
    first, second = json.loads(table.read_text())
    assert (first["model"], first["ratio"], first["partitions"]) == ("m.tflite", 1, 1)
    assert list(second) == ["model", "input", "threads", "p50_ms", "p90_ms", "min_ms", "ratio", "file_mb", "memory_mb",
                            "parameters", "macs", "ops", "not_delegated", "partitions",
                            "setting", "weights"]  # fmt: skip


def test_table_of_layers(capsys, tmp_path, monkeypatch):
    calls = []

    def time_network(*arguments):
        calls.append(arguments[1:])
        return NetworkTiming(table="t.csv", rows=9, image="64x96", layers=3, sum_ms=6.0, whole_ms=5.0)

    monkeypatch.setattr(benchmark, "time_network", time_network)
    arguments = ["layers", "--model", str(TEACHERS["embedded"]), "--output", "t.csv", "--height", "64"]
    assert benchmark.main([*arguments, "--json", str(tmp_path / "table.json")]) == 0
    height, width, path, setting, _ = calls[0]
    assert (height, path) == (64, Path("t.csv"))
    assert width > 0
    assert setting == f"{timing.describe_processor()}, 1 threads"
    assert json.loads((tmp_path / "table.json").read_text()) == [
        {"table": "t.csv", "rows": 9, "image": "64x96", "layers": 3, "sum_ms": 6, "whole_ms": 5, "ratio": 1.2}
    ]

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "time_network", interrupt)
    assert benchmark.main(arguments) == 0
    assert "Stopped; the layers timed so far are in t.csv. To continue: python" in capsys.readouterr().out


def test_benchmarks_on_batches_share_their_flags():
    for name in ("step", "balancers", "losses", "encoders", "data"):
        flags = benchmark.parse([name, "--batch_size", "2", "--height", "32", "--rounds", "3"])
        expected = {"benchmark": name, "batch_size": 2, "height": 32, "width": 448, "rounds": 3, "json": None}
        assert flags == benchmark.BatchFlags(**expected)


def test_a_damaged_file_on_a_phone(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "none.tflite").write_bytes(b"none")
    with pytest.raises(UserError, match="damaged or not a"):
        benchmark.main(["tflite", str(tmp_path / "none.tflite"), "--device", "adb"])


def test_layers_of_a_model_that_is_none(tmp_path):
    (tmp_path / "notes.safetensors").write_text("none")
    for name, message in {"nowhere": "nowhere does not exist", "notes.safetensors": "not a safetensors file"}.items():
        with pytest.raises(UserError, match=message):
            benchmark.main(["layers", "--model", str(tmp_path / name), "--output", str(tmp_path / "table.csv")])
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("flags", [["tflite", "--threads", "1"], ["layers", "--model", "run"], ["none"], []])
def test_flags_that_are_missing_or_unknown(flags):
    with pytest.raises(SystemExit, match="2"):
        benchmark.parse(flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["step", "--rounds", "0"], "`rounds` is 0"), (["tflite", "m.tflite", "--threads", "-1"], "`threads` is -1")],
)
def test_numbers_that_are_not_positive(flags, message):
    with pytest.raises(UserError, match=f"{message}; it must be positive"):
        benchmark.parse(flags)
