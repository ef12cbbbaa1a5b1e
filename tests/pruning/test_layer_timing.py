from collections import Counter

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.pruning import layer_timing
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.latency import Layer, list_layers, read_table
from mdepth_jax.tflite import timing
from mdepth_jax.tflite.flatbuffer import count_operators
from mdepth_jax.tflite.interpreter import create_interpreter
from mdepth_jax.tflite.timing import summarize_graph
from tests.tflite.networks import SIZE, build_network, convert_network, convolve


@pytest.mark.parametrize(
    ("layer", "operators"),
    [
        (Layer("conv", 3, 2, 4, 6, 3, 8), {"CONV_2D": 1}),
        (Layer("conv", 1, 1, 4, 6, 5, 7), {"CONV_2D": 1}),
        (Layer("depthwise", 5, 2, 4, 6, 9, 9), {"DEPTHWISE_CONV_2D": 1}),
        (Layer("upsampled_depthwise", 3, 1, 8, 12, 9, 9), {"DEPTHWISE_CONV_2D": 2, "CONCATENATION": 2, "RESHAPE": 3}),
        (Layer("upsampled_depthwise", 5, 1, 8, 12, 9, 9), {"DEPTHWISE_CONV_2D": 2, "CONCATENATION": 2, "RESHAPE": 3}),
    ],
)
def test_a_file_computes_its_layer(layer, operators):
    random = np.random.default_rng(0)
    depthwise = layer.operation != "conv"
    kernel = random.normal(size=(layer.kernel, layer.kernel, 1 if depthwise else layer.in_channels, layer.out_channels))
    content = layer_timing.build_layer(layer, kernel)
    interpreter = create_interpreter(model_content=content)
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    x = random.normal(size=image["shape"]).astype(np.float32)
    interpreter.set_tensor(image["index"], x)
    interpreter.invoke()
    large = x[0].repeat(2, 0).repeat(2, 1) if layer.operation == "upsampled_depthwise" else x[0]
    assert output["shape"].tolist() == [1, layer.height, layer.width, layer.out_channels]
    np.testing.assert_allclose(
        interpreter.get_tensor(output["index"])[0], convolve(large, kernel, layer.stride), rtol=1e-5, atol=1e-5
    )
    assert count_operators(content) == operators
    assert summarize_graph(interpreter).partitions == 1


def test_the_layers_are_those_of_the_exported_network():
    """The decoder is one whose layers the export does not merge; its last layer up-samples the prediction."""
    content = convert_network()
    structure = find_structure(build_network(), *SIZE)
    files = [layer_timing.build_layer(layer) for layer in list_layers(structure, structure.shapes)]
    counts = sum((count_operators(file) for file in files), Counter())
    whole = count_operators(content)
    assert counts["CONV_2D"] == whole["CONV_2D"]
    assert counts["DEPTHWISE_CONV_2D"] == whole["DEPTHWISE_CONV_2D"]
    assert counts["RESHAPE"] == whole["RESHAPE"] - 3
    macs = sum(summarize_graph(create_interpreter(model_content=file)).macs for file in files)
    assert macs == summarize_graph(create_interpreter(model_content=content)).macs


WANTED = [Layer("conv", 1, 1, 4, 6, 8 * number, 8) for number in range(1, 6)]


class Timer:
    """Times files, but not more batches than asked for."""

    def __init__(self, batches):
        self.batches, self.count = batches, 0

    def __call__(self, paths):
        if self.batches == 0:
            raise KeyboardInterrupt
        self.batches -= 1
        self.count += len(paths)
        return timing.time_files(paths, threads=1, rounds=1)


def test_an_interrupted_table_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(layer_timing, "BATCH", 2)
    path, unlimited = tmp_path / "table.csv", Timer(9)
    with pytest.raises(KeyboardInterrupt):
        layer_timing.fill_table(path, WANTED, "here", Timer(2))
    before = read_table(path)
    assert len(before) == 4
    table = layer_timing.fill_table(path, WANTED, "here", unlimited)
    assert unlimited.count == 1
    assert table.keys() == set(WANTED) == read_table(path).keys()
    assert before.items() <= table.items()
    assert min(table.values()) > 0
    layer_timing.fill_table(path, WANTED, "here", Timer(0))  # nothing is left


def test_tables_that_cannot_be_filled(tmp_path):
    layer_timing.fill_table(tmp_path / "table.csv", WANTED[:1], "here", Timer(1))
    with pytest.raises(UserError, match="measured on here, not on Phone 1"):
        layer_timing.fill_table(tmp_path / "table.csv", WANTED, "Phone 1", Timer(0))
    with pytest.raises(UserError, match="cannot be written"):
        layer_timing.fill_table(tmp_path / "table.csv" / "more", WANTED, "here", Timer(0))
    with pytest.raises(UserError, match="`height` is -32; it must be a multiple of 32"):
        layer_timing.time_network(build_network(), -40, 64, tmp_path / "other.csv", "here", Timer(0))
