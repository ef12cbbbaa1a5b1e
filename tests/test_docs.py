"""Every command, key, flag, link and Python block of README.md, docs/ and the headers of the configurations works."""

import ast
import importlib
import pathlib
import re
import shlex
import sys

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from mdepth_jax import train
from mdepth_jax.errors import UserError
from mdepth_jax.training import stages
from mdepth_jax.training.config import default, lookup, overlay
from mdepth_jax.training.run_directory import bind_to_workdir

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT): path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}
README = PAGES[pathlib.Path("README.md")]
HEADERS = {
    path.relative_to(ROOT): ast.get_docstring(ast.parse(path.read_text())) or ""
    for path in sorted(ROOT.glob("configs/*.py"))
}
COMMANDS = [path.stem for path in sorted(ROOT.glob("mdepth_jax/*.py")) if "    cli.run(main)\n" in path.read_text()]
# Words that readers stumbled over, and British spelling; no word is written out, so that a search finds none here.
FORBIDDEN = re.compile(
    r"\b(teac(h|hes|hing)|taugh\w+|proo\w+|prov(e|es|ed|en)|stud(y|ies)|openin\w+|measuremen\w+|tel(l|ls)|tol(d)|besid(e)"
    r"|goe(s) on|licenc\w+|colou\w+|gre(y)|\w*behaviou\w+|neighbou\w+|\w*metr(e|es)|favou\w+|learn(t)"
    r"|\w*(quanti|normali|initiali|optimi|organi|recogni)s(e|es|ed|er|ers|ing|ation))\b",
    re.IGNORECASE,
)


def commands(text, before=""):
    """Returns the commands of a text, in lines of code and between backticks, from the name of the module on."""
    text = re.sub(r" *\\\n *", " ", re.sub(r"^```.*$", "", text, flags=re.MULTILINE))
    text = re.sub(r"`[^`]+`", lambda span: " ".join(span[0].split()), text)
    return re.findall(before + r"python -m (mdepth_jax\.\w[^`\n]*)", text)


def switches(text):
    """Returns the `--config.key=value` of a text that stand between backticks."""
    return [" ".join(flags.split()) for flags in re.findall(r"`(--config\.[a-z][^`=]*=[^`]*)`", text)]


def python_blocks(text):
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text):
    """Returns the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page, text):
    """Returns the relative links of a page that lead nowhere."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    return broken


def parametrize(name, of_text, texts):
    found = [(page, item) for page, text in texts.items() for item in dict.fromkeys(of_text(text))]
    ids = [f"{page}: {item.splitlines()[0]}" for page, item in found]
    return pytest.mark.parametrize(name, [item for _, item in found], ids=ids)


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """A place with the configurations and with the runs that they train on."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for name in ("RUN", "runs/small", "runs/table6_hard_easy_pairs"):
        bind_to_workdir(overlay(data={"root": "DIR"}), tmp_path / name)
    monkeypatch.chdir(tmp_path)


def understand(command, monkeypatch):
    """Reads a command as its module does, and checks the configuration that it gives; optional flags are taken."""
    module, *flags = shlex.split(re.sub(r"[][]|\.\.\.$", "", command), comments=True)
    if module == "mdepth_jax.train":
        monkeypatch.setattr(sys, "argv", [module, *flags])
        with flagsaver.flagsaver():
            given = train.parse(flags)
        stages.check_runs(stages.runs(given.config, given.workdir), given.keys)
        return
    name = f"{module}.__main__" if module == "mdepth_jax.models" else module
    parsed = importlib.import_module(name).parse(flags)
    if module == "mdepth_jax.prune":
        overlay(**parsed.overrides)


@parametrize("command", commands, PAGES)
def test_commands(command, monkeypatch):
    understand(command, monkeypatch)


@parametrize("command", lambda header: commands(header, r"(?m)^ *"), HEADERS)
def test_commands_of_the_configurations(command, monkeypatch):
    understand(command, monkeypatch)


@parametrize("flags", switches, PAGES)
def test_switches(flags, monkeypatch):
    understand(f"mdepth_jax.train --config configs/kd.py:pairs --config.data.root=DIR {flags}", monkeypatch)


@pytest.mark.parametrize("page", [*PAGES, *HEADERS], ids=str)
def test_keys_and_configurations(page):
    text = (PAGES | HEADERS)[page]
    for key in re.findall(r"--config\.(?:stages\.\w+\.)?([a-z_.]*[a-z])", text):
        lookup(default(), key)
    for file, variant in re.findall(r"(configs/\w+\.py)(?::([\w@/]+))?", text):
        stages.load_file(file, variant)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links(page):
    assert not broken_links(page, PAGES[page])


@pytest.mark.parametrize("page", [*PAGES, *HEADERS], ids=str)
def test_words(page):
    text = re.sub(r"`[^`]*`", "", (PAGES | HEADERS)[page])
    assert not [word[0] for word in FORBIDDEN.finditer(text)]


def test_flags_exist(monkeypatch, capsys):
    """Flags that are mentioned without their command belong to one of the commands."""
    monkeypatch.setenv("COLUMNS", "1000")  # no line of a usage is wrapped

    def help_of(main, *part):
        with pytest.raises(SystemExit, match="0"):
            main([*part, "--help"])
        return capsys.readouterr().out

    text = ""
    for name in COMMANDS:
        main = importlib.import_module(f"mdepth_jax.{name}").main
        text += (usage := help_of(main))
        if parts := re.search(r"\[-h\] (\w+(?:\|\w+)+) \.\.\.", usage):
            text += "".join(help_of(main, part) for part in parts[1].split("|"))
    spans = [span for page in PAGES.values() for span in re.findall(r"`([^`\n]*)`", page) if "tfds" not in span]
    mentioned = {flag for span in spans for flag in re.findall(r"(?<!\S)--([a-z]\w*)", span)}
    assert len(mentioned) > 10
    assert mentioned <= {"config", *re.findall(r"--(\w+)", text)}


@parametrize("code", python_blocks, PAGES)
def test_python(code, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.jpg")
    names = {}
    exec(code, names)
    assert names["depth"].shape == (48, 64)
    assert names["depth"].dtype == np.float32


def test_readme_is_short_and_lists_what_there_is():
    lines = README.splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120
    tree = re.search(r"## Files\n\n((?: {4}.*\n)+)", README)[1]
    package = ROOT / "mdepth_jax"
    entries = [
        name for line in re.findall(r"^ {4,}([^\s,]+(?:, [^\s,]+)*) ", tree, re.MULTILINE) for name in line.split(", ")
    ]
    assert not [name for name in entries if not (ROOT / name).exists() and not (package / name).exists()]
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert folders | {f"{name}.py" for name in COMMANDS} <= set(entries)


def test_every_page_is_in_the_index():
    pages = {page.name for page in PAGES if page.parent.name == "docs" and page.name != "README.md"}
    assert pages == set(re.findall(r"^\| \[[\w.]+\]\(([\w.]+)\)", PAGES[pathlib.Path("docs/README.md")], re.MULTILINE))
    assert pages <= set(re.findall(r"\]\(docs/([\w.]+)\)", README))


@pytest.mark.parametrize(
    "command",
    [
        "mdepth_jax.train --config configs/kd.py:pears",
        "mdepth_jax.train --config configs/kd.py --config.loss.term=ranking",
        "mdepth_jax.train --config configs/kd.py --config.loss.terms=rank",
        "mdepth_jax.train --config configs/kd.py --config.optim.optimizer=mtadam",
        "mdepth_jax.convert --model RUN --output m.tflite --quantized int8",
        "mdepth_jax.prune --model RUN --target_params 1e6 --workdir DIR --config.model.hats=2",
    ],
)
def test_mistakes_would_be_found(command, monkeypatch):
    with pytest.raises((UserError, SystemExit)):
        understand(command, monkeypatch)


def test_broken_links_and_words_would_be_found():
    text = "[a](docs/none.md) [b](docs/data.md#none) [c](#none) [d](docs/data.md#teachers) [e](https://arxiv.org)"
    assert broken_links("README.md", text) == ["docs/none.md", "docs/data.md#none", "#none"]
    assert FORBIDDEN.search("Quantis" + "ed")
    assert FORBIDDEN.search("It tel" + "ls")
    assert not FORBIDDEN.search("A teacher's gray color, learned by studying a total of ten meters")
