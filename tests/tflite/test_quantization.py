from collections import Counter

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.export.verification import check_agreement, compare, predict
from mdepth_jax.tflite.conversion import convert
from mdepth_jax.tflite.flatbuffer import count_operators, quantize_to_float16
from mdepth_jax.tflite.int8 import quantize as quantize_to_int8
from mdepth_jax.tflite.interpreter import DepthInterpreter, count_partitions, create_interpreter
from mdepth_jax.tflite.quantization import FLOAT16_MIN_ELEMENTS, LayerReport, check_float16_range, report_layers
from tests.tflite.networks import SIZE, make_network


def depth_of(content, images, folder):
    file = folder / "m.tflite"
    file.write_bytes(content)
    return DepthInterpreter(file)(np.stack(images))


@pytest.fixture(scope="module")
def reference(network, images):
    return predict(network, images)


@pytest.fixture(scope="module")
def swish(images):
    model = make_network(encoder="efficientnet_b0")
    content = convert(model, *SIZE)
    files = {
        "none": content,
        "float16": quantize_to_float16(content, FLOAT16_MIN_ELEMENTS),
        "int8": quantize_to_int8(content, images, integer_io=False),
    }
    return files, predict(model, images)


@pytest.mark.parametrize("quantize", ["dynamic", "int8"])
def test_int8_weights_keep_the_order_of_depths(quantize, network, content, int8, images, reference, tmp_path):
    converted = int8 if quantize == "int8" else convert(network, *SIZE, quantize, images)
    check_agreement(quantize, compare(reference, depth_of(converted, images, tmp_path)))
    assert len(converted) < 0.4 * len(content)
    assert quantize == "dynamic" or count_partitions(create_interpreter(model_content=converted)) == 1


def test_conversion_quantizes(network, content, int8, images):
    assert convert(network, *SIZE, "float16") == quantize_to_float16(content, FLOAT16_MIN_ELEMENTS)
    assert int8 == quantize_to_int8(content, images, integer_io=False)


@pytest.mark.parametrize("quantize", ["none", "float16", "int8"])
def test_swish_and_squeeze_excite(quantize, swish, images, tmp_path):
    files, expected = swish
    content = files[quantize]
    assert count_operators(content)["QUANTIZE"] == (1 if quantize == "int8" else 0)
    assert count_partitions(create_interpreter(model_content=content)) == 1
    check_agreement(quantize, compare(expected, depth_of(content, images, tmp_path)))


def test_the_fbnet_decoder_in_int8(images, tmp_path):
    model = make_network(encoder="mobilenet_v1")
    content = convert(model, *SIZE, "int8", images)
    assert count_partitions(create_interpreter(model_content=content)) == 1
    check_agreement("int8", compare(predict(model, images), depth_of(content, images, tmp_path)))


def test_hard_swish_in_int8_is_one_partition(images):
    model = make_network(encoder="mobilenet_v3_large")
    plain = convert(model, *SIZE, operators_for="int8")
    content = quantize_to_int8(plain, images[:1], integer_io=False)
    assert count_partitions(create_interpreter(model_content=content)) == 1
    reference = count_operators(plain)
    assert "HARD_SWISH" not in reference
    assert reference["MUL"] == 2 * 8 + 2 * 21  # of 8 squeeze-excites and of 21 hard swishes
    assert count_operators(content) == reference + Counter(QUANTIZE=1, DEQUANTIZE=1)


@pytest.mark.slow
def test_int8_at_full_width_is_one_partition(images):
    content = convert(make_network(encoder="mnasnet", width=1.0), *SIZE, "int8", images[:1])
    assert count_partitions(create_interpreter(model_content=content)) == 1


def test_integer_input_and_output(network, images, int8, tmp_path):
    content = convert(network, *SIZE, "int8", images, integer_io=True)
    interpreter = create_interpreter(model_content=content)
    assert interpreter.get_input_details()[0]["dtype"] == interpreter.get_output_details()[0]["dtype"] == np.uint8
    integers, floats = (depth_of(file, images, tmp_path) for file in (content, int8))
    scale, _ = interpreter.get_output_details()[0]["quantization"]
    np.testing.assert_allclose(integers, floats, rtol=0, atol=1.01 * scale)


def test_report_of_layers(content, int8, images):
    layers = report_layers(content, int8, images)
    by_name = {layer.layer: layer for layer in layers}
    assert {"encoder/stem", "encoder/blocks/12/pointwise", "decoder/blocks/4/depthwise/odd"} <= by_name.keys()
    mean = 127.5
    assert (layers[0].low, layers[0].high) == (np.min(images) - mean, np.max(images) - mean)
    assert all(0 < layer.noise < 1 for layer in layers)
    assert by_name["encoder/stem"].noise < by_name["decoder/predict"].noise
    first = by_name["encoder/blocks/0/depthwise"]
    assert first.added == pytest.approx(first.noise - by_name["encoder/stem"].noise)


def test_report_of_a_file_against_itself(content, images):
    assert {(layer.noise, layer.added) for layer in report_layers(content, content, images[:1])} == {(0, 0)}


@pytest.mark.parametrize("extremes", [(-1, 70000), (-70000, 1)])
def test_overflow_in_float16(extremes):
    layers = [LayerReport("small", -1.0, 65000.0, 0.0, 0.0), LayerReport("large", *map(float, extremes), 0.0, 0.0)]
    check_float16_range(layers[:1])
    with pytest.raises(UserError, match="layer large reaches 7e\\+04, beyond float16's 65504"):
        check_float16_range(layers)
