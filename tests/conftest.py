"""Strict settings for every test: two fake devices, no silent promotion, checked shapes."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling takes most of the time of the tests: a fifth of it without LLVM's optimization and XLA's own emitters.
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{QUICK} --xla_force_host_platform_device_count=2"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from jaxtyping import install_import_hook

install_import_hook("mdepth_jax", "beartype.beartype")

import pathlib
import tempfile

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# What several tests compile, in this process or in others of the same run, is compiled once.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="mdepth_jax_compiled_")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Frees what a file has compiled: all of it together takes gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture
def golden():
    """Loads the cases of one golden file: `golden("ranking_diw")` returns a list of dicts of arrays.

    What the file says of all cases stands in each of them.
    """

    def load(name: str) -> list[dict[str, np.ndarray]]:
        with np.load(GOLDEN / f"{name}.npz") as file:
            arrays = dict(file)
        prefixes = [f"c{number:02d}_" for number in range(int(arrays.pop("n_cases")))]
        shared = {key: value for key, value in arrays.items() if not key.startswith(tuple(prefixes))}
        cases = [{key[4:]: value for key, value in arrays.items() if key.startswith(prefix)} for prefix in prefixes]
        assert cases
        assert all(cases)
        return [shared | case for case in cases]

    return load


@pytest.fixture
def figures(monkeypatch):
    """Keeps the figures that `mdepth_jax.plots` draws, by the name of their file."""
    from mdepth_jax import plots

    drawn, save = {}, plots._save

    def keep(figure, path, *, dpi):
        drawn[path.name] = figure
        save(figure, path, dpi=dpi)

    monkeypatch.setattr(plots, "_save", keep)
    return drawn


@pytest.fixture
def optax_promotes():
    """Allows implicit promotion: `optax.adam` raises its decay to an integer power."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def x64():
    """Runs one test in double precision."""
    with jax.enable_x64(True):
        yield
