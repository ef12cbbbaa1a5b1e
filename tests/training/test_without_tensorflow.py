"""Training needs no TensorFlow: the loop takes any iterator of NumPy batches."""

import subprocess
import sys

import pytest

SCRIPT = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets", "keras"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
package = importlib.import_module("mdepth_jax." + sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.mark.parametrize("package", ["losses", "optim", "metrics", "models", "training"])
def test_every_module_imports(package):
    process = subprocess.run([sys.executable, "-c", SCRIPT, package], capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr[-2000:]
    assert len(process.stdout.split()) > 1


def test_the_blocker_blocks():
    script = SCRIPT.replace("package = ", "import tensorflow\npackage = ")
    process = subprocess.run([sys.executable, "-c", script, "losses"], capture_output=True, text=True, timeout=300)
    assert "tensorflow is blocked" in process.stderr
