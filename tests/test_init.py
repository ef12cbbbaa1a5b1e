import subprocess
import sys

import pytest

import mdepth_jax

LAZY = """
import sys
import mdepth_jax
assert not {"jax", "tensorflow", "numpy"} & sys.modules.keys(), "import mdepth_jax"
assert issubclass(mdepth_jax.UserError, Exception)
assert callable(mdepth_jax.load)
assert "jax" in sys.modules
assert "tensorflow" not in sys.modules, "mdepth_jax.load"
"""


def test_the_package_imports_nothing_large():
    subprocess.run([sys.executable, "-c", LAZY], check=True)


def test_public_names():
    assert mdepth_jax.__all__ == ["UserError", "__version__", "load"]
    assert {name: getattr(mdepth_jax, name) for name in mdepth_jax.__all__}["load"].__name__ == "open_network"
    with pytest.raises(AttributeError, match="module 'mdepth_jax' has no attribute 'lode'"):
        _ = mdepth_jax.lode
