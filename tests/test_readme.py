"""What README.md and the headers of the configurations print can be typed as it stands there."""

import ast
import importlib
import pathlib
import re
import shlex
import sys

import pytest
from absl.testing import flagsaver

from mdepth_jax import train
from mdepth_jax.data.types import Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.training import stages
from mdepth_jax.training.checks import check_config
from mdepth_jax.training.config import default, lookup, overlay
from mdepth_jax.training.objective import resolve_terms
from mdepth_jax.training.run_directory import bind_to_workdir

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
HEADERS = [ast.get_docstring(ast.parse(path.read_text())) for path in sorted((ROOT / "configs").glob("*.py"))]
EVERYTHING = Supervision(pairs=True, depth=True, teacher_depth=True, teacher_features=True)
SWITCHES = re.findall(r"`(--config\.\S+=[^`]*)`", README)


def commands(text, before=""):
    """Gives the commands of a text, in lines of code and between backticks, from the name of the module on."""
    text = re.sub(r" *\\\n *", " ", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    text = re.sub(r"`[^`]+`", lambda span: " ".join(span[0].split()), text)
    return re.findall(before + r"python -m (mdepth_jax\.\w[^`\n]*)", text)


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """A place with the configurations and with the runs that they train on."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for name in ("RUN", "runs/small"):
        bind_to_workdir(overlay(data={"root": "DIR"}), tmp_path / name)
    monkeypatch.chdir(tmp_path)


def understand(command, monkeypatch):
    """Reads a command as its module does, and checks the configuration that it gives; optional flags are taken."""
    module, *flags = shlex.split(re.sub(r"[][]|\.\.\.$", "", command), comments=True)
    if module == "mdepth_jax.train":
        monkeypatch.setattr(sys, "argv", [module, *flags])
        with flagsaver.flagsaver():
            config, workdir = train.parse(flags)
        for run in stages.runs(config, workdir).values():
            check_config(run)
            resolve_terms(run.loss.terms, EVERYTHING)
        return
    name = f"{module}.__main__" if module == "mdepth_jax.models" else module
    parsed = importlib.import_module(name).parse(flags)
    if module == "mdepth_jax.prune":
        overlay(**parsed[1])


@pytest.mark.parametrize("command", commands(README))
def test_commands(command, monkeypatch):
    understand(command, monkeypatch)


@pytest.mark.parametrize("command", [command for header in HEADERS for command in commands(header, r"(?m)^ *")])
def test_commands_of_the_configurations(command, monkeypatch):
    understand(command, monkeypatch)


@pytest.mark.parametrize("flags", SWITCHES)
def test_switches(flags, monkeypatch):
    understand(f"mdepth_jax.train --config configs/kd.py:pairs --config.data.root=DIR {flags}", monkeypatch)


def test_keys_configurations_and_links():
    text = "\n".join([README, *HEADERS])
    for key in re.findall(r"--config\.(?:stages\.\w+\.)?([a-z_.]*[a-z])", text):
        lookup(default(), key)
    for file, variant in re.findall(r"(configs/\w+\.py)(?::([\w@/]+))?", text):
        stages.load_file(file, variant)
    for link in re.findall(r"\]\(([\w./]+)\)", README):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize(
    "command",
    [
        "mdepth_jax.train --config configs/kd.py:pears",
        "mdepth_jax.train --config configs/kd.py --config.loss.term=ranking",
        "mdepth_jax.train --config configs/kd.py --config.loss.terms=rank",
        "mdepth_jax.train --config configs/kd.py --config.optim.optimizer=mtadam",
        "mdepth_jax.convert --model RUN --output m.tflite --quantise int8",
        "mdepth_jax.prune --model RUN --target_params 1e6 --workdir DIR --config.model.hats=2",
    ],
)
def test_mistakes_would_be_found(command, monkeypatch):
    with pytest.raises((UserError, SystemExit)):
        understand(command, monkeypatch)
