import importlib.metadata
import shutil

import pytest

from mdepth_jax import checks, prepare
from mdepth_jax.errors import UserError


def test_packages(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["jax>=0.1", 'none; extra == "x"'])
    assert f"jax {importlib.metadata.version('jax')}" in checks.check_packages()
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["jax<0.1", "no-such-package>=2"])
    with pytest.raises(UserError, match=r"jax is .*, needed is jax<0\.1; no-such-package is missing"):
        checks.check_packages()


def test_devices(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checks.check_devices(None) == "2 x cpu (cpu)"
    assert checks.check_devices("cpu") == "2 x cpu (cpu)"
    with pytest.raises(UserError, match=r"2 x cpu \(cpu\), not on the tpu; pip install 'jax\[tpu\]'"):
        checks.check_devices("tpu")


def test_a_gpu_that_jax_does_not_use(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(UserError, match=r"not on the gpu; .* or unset JAX_PLATFORMS \(it is 'cpu'\)"):
        checks.check_devices(None)


def test_tensorflow_and_memory():
    assert "sees no accelerator" in checks.check_tensorflow()
    assert "free" in checks.check_memory()


def test_disk(tmp_path, monkeypatch):
    assert str(tmp_path) in checks.check_disk(tmp_path / "runs/new")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1e6))
    with pytest.raises(UserError, match=r"0\.00 GB are free"):
        checks.check_disk(tmp_path)


def test_data(tmp_path):
    prepare.main(["scenes", "--output", str(tmp_path / "scenes"), "--count", "2"])
    (tmp_path / "scenes/README.txt").write_text("no list of images\n")
    assert checks.check_data(tmp_path / "scenes").startswith("train 2 images, at most 1 pairs each; test 2 images")
    next((tmp_path / "scenes/images").glob("test*")).unlink()
    with pytest.raises(UserError, match="no such file"):
        checks.check_data(tmp_path / "scenes")
