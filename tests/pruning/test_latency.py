import csv
import math

import numpy as np
import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, default_config
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.latency import COLUMNS, LatencyTable, Layer, choose_layers, list_layers, read_table, write_table
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.surgery import pruned_shapes

POINTWISE = Layer(operation="conv", kernel=1, stride=1, height=6, width=8, in_channels=0, out_channels=0)
DEPTHWISE = POINTWISE._replace(operation="depthwise", kernel=3)


@pytest.fixture(scope="module")
def structure():
    config = default_config()
    config.heads = 0
    model = nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))
    model.eval()
    return find_structure(model, 64, 96)


def macs(layer):
    inputs = layer.in_channels if layer.operation == "conv" else 1
    return float(math.prod((layer.kernel**2, layer.height, layer.width, inputs, layer.out_channels)))


def test_every_pruned_network_lies_between_measured_layers(structure, tmp_path):
    """Multiply-adds are bilinear in the widths: interpolated in place of milliseconds, they come out right."""
    chosen = choose_layers(structure, 8)
    assert len(chosen) == len(set(chosen)) < 1000
    write_table(tmp_path / "table.csv", {layer: macs(layer) for layer in chosen}, "paper")
    latency, exact = make_resource("latency_ms", structure, tmp_path / "table.csv"), make_resource("macs", structure)
    random = np.random.default_rng(0)
    for _ in range(5):
        widths = [8 * random.integers(1, max(1, group.channels // 8) + 1) for group in structure.groups]
        kept = [np.arange(group.channels) < width for group, width in zip(structure.groups, widths, strict=True)]
        shapes = pruned_shapes(structure, kept)
        assert latency.measure(shapes) == pytest.approx(exact.measure(shapes), rel=1e-5)


def test_widths_of_each_layer(structure):
    chosen = choose_layers(structure, 8)
    assert {layer.operation for layer in chosen} == {"conv", "depthwise", "upsampled_depthwise"}
    stem, *_, predict = list_layers(structure, structure.shapes)
    alike = [layer for layer in chosen if layer._replace(out_channels=0) == stem._replace(out_channels=0)]
    assert stem.in_channels == 3
    assert [layer.out_channels for layer in alike] == [8, 16, 24, 32]
    alike = [layer for layer in chosen if layer._replace(in_channels=0) == predict._replace(in_channels=0)]
    assert predict.out_channels == 1
    assert [layer.in_channels for layer in alike] == [16, 24, 32]  # of two groups, one behind the other
    assert all(layer.in_channels == layer.out_channels for layer in chosen if layer.operation != "conv")


def test_layers_that_follow_up_sampling_have_a_name_of_their_own(structure):
    found = zip(structure.convolutions, list_layers(structure, structure.shapes), strict=True)
    names = [conv.kernel for conv, layer in found if layer.operation == "upsampled_depthwise"]
    assert names == [f"decoder.blocks.{block}.depthwise.conv.kernel" for block in range(4)]


def bilinear(grid, ins, outs, inputs, outputs):
    """The cell that holds the point, corner by corner."""
    for i, o in np.ndindex(len(ins) - 1, len(outs) - 1):
        if ins[i] <= inputs <= ins[i + 1] and outs[o] <= outputs <= outs[o + 1]:
            right = (inputs - ins[i]) / (ins[i + 1] - ins[i])
            down = (outputs - outs[o]) / (outs[o + 1] - outs[o])
            return sum(
                grid[i + a, o + b] * (right if a else 1 - right) * (down if b else 1 - down)
                for a in (0, 1)
                for b in (0, 1)
            )
    return None


def test_between_measured_widths(tmp_path):
    ins, outs = (8, 16, 40, 96), (8, 24, 32)
    grid = np.random.default_rng(0).uniform(1, 2, (len(ins), len(outs))).round(5)
    rows = {POINTWISE._replace(in_channels=ins[i], out_channels=outs[o]): grid[i, o] for i, o in np.ndindex(grid.shape)}
    depthwise = {DEPTHWISE._replace(in_channels=width, out_channels=width): float(width**2) for width in (8, 16, 32)}
    write_table(tmp_path / "table.csv", rows | depthwise, "paper")
    table = LatencyTable(tmp_path / "table.csv")
    for inputs in range(8, 97, 4):
        for outputs in range(8, 33, 4):
            expected = bilinear(grid, ins, outs, inputs, outputs)
            found = table(POINTWISE._replace(in_channels=inputs, out_channels=outputs))
            assert found == pytest.approx(expected, rel=1e-12)
    for layer, milliseconds in (rows | depthwise).items():
        assert table(layer) == milliseconds
    assert table(DEPTHWISE._replace(in_channels=24, out_channels=24)) == (16**2 + 32**2) / 2


@pytest.mark.parametrize(
    "layer",
    [
        POINTWISE._replace(in_channels=4, out_channels=8),
        POINTWISE._replace(in_channels=8, out_channels=40),
        POINTWISE._replace(in_channels=8, out_channels=8, height=7),
        POINTWISE._replace(in_channels=8, out_channels=8, operation="upsampled_depthwise"),
    ],
)
def test_outside_of_the_table(layer, tmp_path):
    rows = {POINTWISE._replace(in_channels=a, out_channels=b): 1.0 for a in (8, 16) for b in (8, 32)}
    write_table(tmp_path / "table.csv", rows, "paper")
    message = (
        r"table\.csv lacks a layer \(operation .*\).*benchmark layers with `model=RUN` and `output=.*table\.csv` adds"
    )
    with pytest.raises(UserError, match=message):
        LatencyTable(tmp_path / "table.csv")(layer)


def test_a_table_says_where_it_was_measured(tmp_path):
    path = tmp_path / "new" / "table.csv"
    rows = {POINTWISE._replace(in_channels=8, out_channels=8): 0.25}
    write_table(path, rows, "Phone 1, 4 threads")
    with path.open(newline="") as file:
        assert next(csv.reader(file)) == [*COLUMNS, "measured_on"]
    assert read_table(path) == read_table(path, "Phone 1, 4 threads") == rows
    with pytest.raises(UserError, match=r"table\.csv:2: measured on Phone 1, 4 threads, not on Phone 2; choose"):
        read_table(path, "Phone 2")


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"operation,kernel\nconv,3\n", "column 'stride' is missing"),
        (f"{HEADER}\nconv,3,2,4,6,3,32,fast\n".encode(), r"table\.csv:2: .*'fast'"),
        (f"{HEADER}\nconv,3,2\n".encode(), r"table\.csv:2: "),
        (
            b"\xff\xfe",
            r"table\.csv: it is not text; .*benchmark layers with `model=RUN` and `output=.*table\.csv` creates",
        ),
    ],
)
def test_tables_that_do_not_parse(text, message, tmp_path):
    (tmp_path / "table.csv").write_bytes(text)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "table.csv")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"table\.csv: cannot be written \(.*\); choose another place"):
        write_table(tmp_path / "file" / "table.csv", {}, "paper")
    with pytest.raises(UserError, match="it is a folder"):
        write_table(tmp_path, {}, "paper")
