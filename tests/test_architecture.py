"""The layout shows itself: imports run down, without circles; training needs no TensorFlow."""

import ast
import pathlib

import mdepth_jax

PACKAGE = pathlib.Path(mdepth_jax.__file__).parent
GROUND = ("losses", "optim", "metrics", "plots", "licenses", "errors", "keys", "cli", "files", "tensorflow_cpu")
FOLDERS = ("export", "inference", "paper", "pruning", "training", "tflite", "models", "data")
# A module imports its own floor and those after it; what has no floor is a command, which nobody imports.
FLOORS = (*((folder,) for folder in FOLDERS), GROUND)


def module_of(path):
    """Returns the dotted name below the package: `data.sources.open`; that of a package for its `__init__.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path):
    """Returns the modules of the package that a file imports, also those inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in members if name.removeprefix("mdepth_jax.") in FILES}
            names = modules if modules == members else modules | {str(node.module)}
        else:
            continue
        found |= {name.removeprefix("mdepth_jax.") for name in names if name.startswith("mdepth_jax.")}
    return found


IMPORTS = {module: imports_of(path) for module, path in FILES.items()}


def floor(module):
    """Returns the number of a module's floor, 0 for the ground; None for a command."""
    top = module.split(".")[0]
    numbers = [number for number, names in enumerate(reversed(FLOORS)) if top in names]
    return numbers[0] if numbers and not module.endswith("__main__") else None


def test_every_file_has_its_floor():
    known = {name for names in FLOORS for name in names}
    commands = {module for module in FILES if floor(module) is None and module}
    assert known <= {module.split(".")[0] for module in FILES}
    for module in commands:
        assert "cli.run(main)" in FILES[module].read_text() or module == "notebook", (
            f"{module} is neither command nor library"
        )


def test_imports_run_down():
    for module, imported in IMPORTS.items():
        for other in imported - {""}:
            assert floor(other) is not None, f"{module} imports the command {other}"
            if floor(module) is not None and module:
                assert floor(other) <= floor(module), f"{module} imports {other}, which stands above it"


def test_no_circle():
    remaining = {module: imported - {module} for module, imported in IMPORTS.items()}
    while free := [module for module, imported in remaining.items() if not imported & remaining.keys()]:
        for module in free:
            del remaining[module]
    circle = {module: sorted(imported & remaining.keys()) for module, imported in remaining.items()}
    assert not circle
