import os
import stat

import pytest

from tests.tflite.networks import build_network, convert_network, render_images


@pytest.fixture(scope="session")
def images():
    return render_images()


@pytest.fixture(scope="session")
def network():
    """A network that quantizes well without training."""
    return build_network()


@pytest.fixture(scope="session")
def content():
    """The network as a float32 file."""
    return convert_network("none")


@pytest.fixture(scope="session")
def int8():
    """The network as an int8 file."""
    return convert_network("int8")


@pytest.fixture
def adb(tmp_path, monkeypatch):
    """Puts an `adb` in the path that has a phone for which `shell` runs the given script, and keeps its commands."""

    def install(shell, devices="ABC123\tdevice"):
        program = tmp_path / "adb"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/log\ncase "$1" in\n'
            f"devices) printf 'List of devices attached\\n{devices}\\n\\n';;\nshell) {shell};;\nesac\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "log"

    return install
