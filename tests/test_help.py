"""`--help` of every command fits a screen."""

import importlib
import pathlib

import pytest

import mdepth_jax

PACKAGE = pathlib.Path(mdepth_jax.__file__).parent
COMMANDS = [
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if "    cli.run(main)\n" in path.read_text()
]
PARTS = [
    *(("benchmark", part) for part in ("step", "balancers", "losses", "encoders", "data", "tflite")),
    *(("gallery", part) for part in ("photographs", "failures")),
    ("prepare", "teacher"),
]


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), *PARTS], ids=" ".join)
def test_help_fits_a_screen(command, monkeypatch, capsys):
    name, *part = command
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"mdepth_jax.{name}").main([*part, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert 5 <= len(lines) <= 50
    assert max(map(len, lines)) <= 120
