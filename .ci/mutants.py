"""Mutates the modules that compute losses, weights, metrics and examples, and runs their tests on each mutant.

    python -m pip install -e '.[mutation]'
    JAX_PLATFORMS=cpu python .ci/mutants.py --sample 300

Works on a copy of the repository, one mutant at a time, and prints a table of the mutants that the tests kill and the
change of each other one.
"""

import argparse
import math
import os
import random
import re
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any, NamedTuple

# What the tests import is imported here, once: each mutant runs in a fork, before JAX starts its threads.
import beartype  # noqa: F401
import cosmic_ray.plugins
import flax.nnx  # noqa: F401
import jax  # noqa: F401
import jaxtyping  # noqa: F401
import ml_collections  # noqa: F401
import optax  # noqa: F401
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).parents[1]
PATTERNS = ("losses/*.py", "optim/*.py", "metrics/*.py", "training/objective.py", "data/pairs.py", "data/augment.py")
MORE_TESTS = {"optim": ["tests/optim/test_balancers.py"]}
# Bitwise operators fail at once on numbers, and `|` stands in annotations alone.
TRIVIAL = re.compile(r"ReplaceBinaryOperator_(BitOr_|(?!Bit)\w+_(LShift|RShift|Bit))")
ANNOTATIONS_AND_MESSAGES = {"annassign", "tfpdef", "fstring", "raise_stmt"}
OPTIONS = ["-x", "-q", "-n0", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning"]


class Mutation(NamedTuple):
    """A change of one operator, number or keyword of a module."""

    name: str
    occurrence: int

    def apply(self, source: str) -> str:
        """Returns the mutated source."""
        return mutate_code(source, cosmic_ray.plugins.get_operator(self.name)(), self.occurrence)


def find_mutations(source: str) -> Iterator[Mutation]:
    """Yields all mutations but those of annotations and messages, and of operators that fail at once."""
    nodes = list(ast_nodes(get_ast(source)))
    for name in sorted(cosmic_ray.plugins.operator_names()):
        operator = cosmic_ray.plugins.get_operator(name)
        if not operator.arguments() and not TRIVIAL.search(name):
            places = [node for node in nodes for _ in operator().mutation_positions(node)]
            yield from (Mutation(name, index) for index, node in enumerate(places) if not is_skipped(node))


def is_skipped(node: Any) -> bool:
    """Returns whether a node stands in an annotation or in a message, or is the star of a list of parameters."""
    if node.type == "operator" and node.parent.type in ("parameters", "param"):
        return True
    while (parent := node.parent) is not None:
        if node.type in ANNOTATIONS_AND_MESSAGES or (parent.type == "funcdef" and node is parent.annotation):
            return True
        node = parent
    return False


def is_valid(source: str) -> bool:
    """Returns whether Python compiles a source."""
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def pass_tests(tests: Sequence[str], timeout: int) -> bool:
    """Runs tests in a fork; after `timeout` seconds they have failed."""
    child = os.fork()
    if child == 0:
        signal.alarm(timeout)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os._exit(pytest.main([*OPTIONS, *tests]))
    return os.waitpid(child, 0)[1] == 0


def test_module(module: Path, mutations: Sequence[Mutation], timeout: int) -> int:
    """Runs a module's tests on each mutant, in the current directory; returns the number of killed ones."""
    tests = [f"tests/{module.parent.name}/test_{module.name}", *MORE_TESTS.get(module.parent.name, [])]
    source, killed = module.read_text(), 0
    assert pass_tests(tests, timeout), f"{tests} fail without a mutation"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # From here on a compiled file could be that of a mutant.
    for mutation in mutations:
        mutant = mutation.apply(source)
        module.write_text(mutant)
        if pass_tests(tests, timeout):
            change = list(unified_diff(source.splitlines(), mutant.splitlines(), n=0, lineterm=""))[2:]
            print(f"{module}: {mutation.name}", *change, sep="\n", flush=True)
        else:
            killed += 1
    module.write_text(source)
    return killed


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the paths of the modules to mutate")
    parser.add_argument("--sample", type=float, default=math.inf, help="mutants to draw, the same share of each module")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for the tests of one mutant")
    flags = parser.parse_args()

    paths = [path.relative_to(ROOT) for pattern in PATTERNS for path in sorted((ROOT / "mdepth_jax").glob(pattern))]
    found = {path: list(find_mutations((ROOT / path).read_text())) for path in paths}
    share = min(1, flags.sample / sum(map(len, found.values())))
    rows = []
    with tempfile.TemporaryDirectory() as copy:
        for name in ("mdepth_jax", "tests", "configs"):
            shutil.copytree(ROOT / name, Path(copy, name))
        shutil.copy(ROOT / "pyproject.toml", copy)
        os.chdir(copy)
        for path, mutations in found.items():
            drawn = random.Random(f"{path} {flags.seed}").sample(mutations, math.ceil(share * len(mutations)))
            drawn = [mutation for mutation in drawn if is_valid(mutation.apply(path.read_text()))]
            if drawn and flags.only in str(path):
                rows.append((str(path), len(mutations), len(drawn), test_module(path, drawn, flags.timeout)))
                print("{}: {} mutants, {} drawn, {} killed".format(*rows[-1]), flush=True)
    print(f"all: {sum(row[2] for row in rows)} drawn, {sum(row[3] for row in rows)} killed")


if __name__ == "__main__":
    main()
