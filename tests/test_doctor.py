import pytest

from mdepth_jax import checks, doctor
from mdepth_jax.errors import UserError


@pytest.mark.usefixtures("optax_promotes")
def test_every_line_tells(tmp_path, monkeypatch, capsys):
    """The real checks, but for the packages: the tests run uninstalled as well."""
    monkeypatch.setattr(checks, "check_packages", lambda: "fine")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.main(["--workdir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:6]] == [
        f"ok     {name}" for name in ("packages", "devices", "TensorFlow", "memory", "disk", "training step")
    ]
    assert lines[-1] == "all is well"


def test_what_is_wrong_is_told(capsys):
    def fail(error):
        raise error

    assert not doctor.report("one", lambda: fail(UserError("broken; mend it")))
    assert not doctor.report("two", lambda: fail(RuntimeError("no device")))
    assert doctor.report("three", lambda: "fine")
    assert capsys.readouterr().out == (
        "WRONG  one: broken; mend it\nWRONG  two: RuntimeError: no device\nok     three: fine\n"
    )


def test_the_exit_status(tmp_path, monkeypatch, capsys):
    for name in ("check_packages", "check_training_step"):
        monkeypatch.setattr(checks, name, lambda: "fine")
    assert doctor.main(["--data", str(tmp_path / "none"), "--expect", "tpu", "--workdir", str(tmp_path)]) == 1
    assert capsys.readouterr().out.endswith("wrong: devices, data\n")
