"""Every public loss, metric and optimizer has an example in its docstring, and the examples run."""

import doctest
import inspect

import pytest

from mdepth_jax import losses, metrics, optim

FUNCTIONS = [
    value
    for module in (losses, optim, metrics)
    for name, value in vars(module).items()
    if inspect.isfunction(value) and not name.startswith("_") and value.__module__.startswith(module.__name__)
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_example(function, optax_promotes):
    (example,) = doctest.DocTestFinder(recurse=False).find(function, function.__name__, globs={})
    assert example.examples
    output = []
    doctest.DocTestRunner().run(example, out=output.append)
    assert not output, "".join(output)


def test_all_functions_are_found():
    assert {name for name in losses.__all__ if name.islower()} <= {function.__name__ for function in FUNCTIONS}
