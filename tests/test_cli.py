import dataclasses
import errno
import subprocess
import sys

import pytest

from mdepth_jax import cli
from mdepth_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Flags:
    count: int
    name: str = ""

    def __post_init__(self):
        if self.count < 0:
            raise UserError(f"`count` is {self.count}; it must not be negative")


def parse(*argv):
    parser = cli.make_parser("mdepth_jax.none", "Does nothing.\n\nIn two paragraphs.")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--name", default="x")
    parser.set_defaults(flags=Flags)
    return cli.parse(parser, argv)


def test_flags_are_typed(capsys):
    assert parse("--count", "3") == Flags(3, "x")
    with pytest.raises(UserError, match="`count` is -1"):
        parse("--count=-1")
    for wrong in (["--cou=1"], ["--count=many"], [], ["--count=1", "--size=2"]):
        with pytest.raises(SystemExit, match="2"):
            parse(*wrong)
    with pytest.raises(SystemExit, match="0"):
        parse("--help")
    assert "python -m mdepth_jax.none" in (text := capsys.readouterr().out)
    assert "Does nothing.\n\nIn two paragraphs." in text


@pytest.mark.parametrize(
    ("message", "spelled"),
    [
        ("`height` is 100; set `width`", "--height is 100; set --width"),
        ("set `config.teacher.maps=False` or `config.teacher.run=DIR`",
         "set --config.teacher.maps=False or --config.teacher.run=DIR"),
        ("a.csv:3: '<' ``", "a.csv:3: '<' ``"),
    ],
)  # fmt: skip
def test_arguments_become_flags(message, spelled):
    assert cli.spell_flags(UserError(message)) == spelled


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("`data`: no such folder"), "error: --data: no such folder\n"),
        (OSError(errno.ENOSPC, "No space left on device", "m.txt"),
         "error: m.txt: No space left on device; free some space or write to another place\n"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(error, line, monkeypatch, capsys):
    def main(argv):
        raise error

    monkeypatch.setattr(sys, "argv", ["none"])
    with pytest.raises(SystemExit, match="2"):
        cli.run(main)
    assert capsys.readouterr().err == line


def test_a_reader_that_stops_early():
    """As in `python -m mdepth_jax.models | head -1`: no traceback."""
    code = "from mdepth_jax import cli; cli.run(lambda argv: print(*range(100_000), sep='\\n', flush=True))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_status_and_other_errors(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["none", "--a"])
    with pytest.raises(SystemExit, match="1"):
        cli.run(lambda argv: 1 if list(argv) == ["--a"] else 0)

    def fail(argv):
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        cli.run(fail)
