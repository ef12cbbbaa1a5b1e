import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.tflite import phone, timing
from mdepth_jax.tflite.device import Device
from mdepth_jax.tflite.flatbuffer import add_metadata
from mdepth_jax.tflite.interpreter import open_interpreter


def test_this_machine(tmp_path, content, monkeypatch):
    monkeypatch.setattr(
        timing, "time_in_turn", lambda functions, rounds: timing.np.full((len(functions), rounds, 1), 3.0)
    )
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    device = Device(threads=2, rounds=4)
    assert device.describe() == f"{timing.describe_processor()}, 2 threads"
    assert device.time_files([path]) == [3]
    setting, (row,) = device.benchmark_files([path])
    assert setting == timing.describe_setting(4)
    assert (row["threads"], row["p50_ms"], row["partitions"]) == (2, 3, 1)
    assert (row["setting"], row["weights"]) == (setting, "")
    path.write_bytes(add_metadata(content, {"weights_sha256": "12ab"}))
    assert device.benchmark_files([path])[1][0]["weights"] == "12ab"


def test_a_phone(adb, tmp_path, content, monkeypatch):
    calls = []
    monkeypatch.setattr(phone, "time_files", lambda *arguments: calls.append(arguments) or [5.0])
    monkeypatch.setattr(
        phone,
        "benchmark_on_phone",
        lambda *arguments: calls.append(arguments) or [phone.DelegateResult("m.tflite", "CPU")],
    )
    adb("echo Phone 1")
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    device = Device(device="adb", threads=2, rounds=4, tool=tmp_path)
    assert device.time_files([path]) == [5]
    setting, [row] = device.benchmark_files([path])
    assert setting == row["setting"] == "Phone 1, 2 threads"
    assert phone.DelegateResult("m.tflite", "CPU").to_row().items() <= row.items()
    assert row["input"] == timing.describe_input(open_interpreter(path))
    assert calls == [([path], 2, 4 * timing.BURST, tmp_path)] * 2


def test_a_damaged_file_is_not_copied_to_a_phone(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"none")
    with pytest.raises(UserError, match="damaged or not a"):
        Device(device="adb").benchmark_files([path])
