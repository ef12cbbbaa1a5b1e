"""Commands as a notebook runs them, in real processes."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from mdepth_jax import notebook
from mdepth_jax.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
SAVES = """
import signal, sys
def stop(*_):
    print("saved")
    sys.exit()
signal.signal(signal.SIGINT, stop)
print("ready")
signal.pause()
"""
# As ipykernel does: a process started in the background by a shell would ignore interrupts.
KERNEL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mdepth_jax import notebook
notebook.run("{}")
print("continued")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that can be run: `module(code)` returns its name."""

    def write(code: str) -> str:
        (tmp_path / "job.py").write_text(code)
        return "job"

    monkeypatch.chdir(tmp_path)
    return write


def test_prints_the_command_and_its_output(module, capsys):
    notebook.run(module("import sys; print(sys.argv[1:]); print('note', file=sys.stderr)"), "--output", "a b", 3)
    assert capsys.readouterr().out == "+ python -m job --output 'a b' 3\n['--output', 'a b', '3']\nnote\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('error: no such file\\n', file=sys.stderr); sys.exit(2)", "^no such file$"),
        ("raise ValueError('wrong')", "^ValueError: wrong$"),
        ("import sys; sys.exit(3)", "^job ended with status 3$"),
    ],
)
def test_failure_is_an_error_with_the_last_line(module, code, message):
    with pytest.raises(UserError, match=message):
        notebook.run(module(code))


def test_an_interrupted_command_may_save(module):
    """The signal goes to the kernel and its command, as Jupyter sends it."""
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL.format(module(SAVES))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert kernel.stdout.readline() == "+ python -m job\n"
    assert kernel.stdout.readline() == "ready\n"
    os.killpg(kernel.pid, signal.SIGINT)
    output, errors = kernel.communicate(timeout=60)
    assert output == "saved\n", errors
    assert errors.endswith("KeyboardInterrupt\n")
