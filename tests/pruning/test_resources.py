import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.pruning.latency import COLUMNS
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.surgery import pruned_shapes
from tests.pruning.networks import find_chain_structure


@pytest.fixture(scope="module")
def structure():
    return find_chain_structure()


def test_parameters_and_multiply_adds_by_hand(structure):
    assert [group.channels for group in structure.groups] == [32, 16]
    shapes = pruned_shapes(structure, [np.arange(32) < 24, np.arange(16) < 8])
    weights = 27 * 24 + 24 * 8 + 8
    assert make_resource("params", structure).measure(shapes) == weights
    assert make_resource("macs", structure).measure(shapes) == 4 * 6 * weights


def test_latency_is_looked_up(structure, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(f"{','.join(COLUMNS)}\nconv,3,2,4,6,3,32,1.5\nconv,1,1,4,6,32,16,0.25\nconv,1,1,4,6,16,1,0.125\n")
    latency = make_resource("latency_ms", structure, table)
    assert latency.measure(structure.shapes) == 1.875
    assert latency.format(1.875) == "1.88 ms"
    with pytest.raises(UserError, match=r"table\.csv lacks a layer \(operation conv, kernel 3, .* out_channels 24\)"):
        latency.measure(pruned_shapes(structure, [np.arange(32) < 24, np.ones(16, bool)]))


def test_unknown_resources(structure, tmp_path):
    with pytest.raises(UserError, match="'watts' is not a resource; choose one of params, macs, latency_ms"):
        make_resource("watts", structure)
    with pytest.raises(UserError, match=r"`latency_table=FILE\.csv`, .*; python -m .* layers with `model=RUN`"):
        make_resource("latency_ms", structure)
    with pytest.raises(UserError, match=r"No such file or directory; python -m mdepth_jax\.benchmark layers"):
        make_resource("latency_ms", structure, tmp_path / "none.csv")
