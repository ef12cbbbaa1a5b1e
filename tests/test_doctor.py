import importlib.metadata
import shutil

import pytest

from mdepth_jax import doctor
from mdepth_jax.data.builders.scenes import write_scenes
from mdepth_jax.errors import UserError


def test_packages(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["jax>=0.1", 'none; extra == "x"'])
    assert f"jax {importlib.metadata.version('jax')}" in doctor.check_packages()
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["jax<0.1", "no-such-package>=2"])
    with pytest.raises(UserError, match=r"jax is .*, required is jax<0\.1; no-such-package is missing"):
        doctor.check_packages()


def test_devices(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.check_devices(None) == "2 x cpu (cpu)"
    assert doctor.check_devices("cpu") == "2 x cpu (cpu)"
    with pytest.raises(UserError, match=r"2 x cpu \(cpu\), not on the tpu; pip install 'jax\[tpu\]'"):
        doctor.check_devices("tpu")


def test_a_gpu_that_jax_does_not_use(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(UserError, match=r"not on the gpu; .* or unset JAX_PLATFORMS \(it is 'cpu'\)"):
        doctor.check_devices(None)


def test_tensorflow_and_memory():
    assert "sees no accelerator" in doctor.check_tensorflow()
    assert "free" in doctor.check_memory()


def test_disk(tmp_path, monkeypatch):
    assert str(tmp_path) in doctor.check_disk(tmp_path / "runs/new")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1e6))
    with pytest.raises(UserError, match=r"0\.00 GB are free"):
        doctor.check_disk(tmp_path)


def test_data(tmp_path):
    write_scenes(tmp_path / "scenes", 2)
    (tmp_path / "scenes/README.txt").write_text("no list of images\n")
    assert doctor.check_data(tmp_path / "scenes").startswith("train 2 images, at most 1 pairs each; test 2 images")
    next((tmp_path / "scenes/images").glob("test*")).unlink()
    with pytest.raises(UserError, match="no such file"):
        doctor.check_data(tmp_path / "scenes")


@pytest.mark.usefixtures("optax_promotes")
def test_every_check_passes(tmp_path, monkeypatch, capsys):
    """The real checks, but for the packages: the tests run uninstalled as well."""
    monkeypatch.setattr(doctor, "check_packages", lambda: "fine")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.main(["--workdir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:6]] == [
        f"ok     {name}" for name in ("packages", "devices", "TensorFlow", "memory", "disk", "training step")
    ]
    assert lines[-1] == "all is well"


def test_failed_checks_are_printed(capsys):
    def fail(error):
        raise error

    assert not doctor.run_check("one", lambda: fail(UserError("broken; set `workdir`")))
    assert not doctor.run_check("two", lambda: fail(RuntimeError("no device")))
    assert doctor.run_check("three", lambda: "fine")
    assert capsys.readouterr().out == (
        "WRONG  one: broken; set --workdir\nWRONG  two: RuntimeError: no device\nok     three: fine\n"
    )


def test_the_exit_status(tmp_path, monkeypatch, capsys):
    for name in ("check_packages", "check_training_step"):
        monkeypatch.setattr(doctor, name, lambda: "fine")
    assert doctor.main(["--data", str(tmp_path / "none"), "--expect", "tpu", "--workdir", str(tmp_path)]) == 1
    assert capsys.readouterr().out.endswith("wrong: devices, data\n")
