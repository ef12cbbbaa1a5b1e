import pytest

from tests.pruning.runs import compiling_quickly


@pytest.fixture(scope="module")
def quick_to_compile():
    with compiling_quickly():
        yield
