import numpy as np
import pytest
from tensorflow.lite.tools import flatbuffer_utils

from mdepth_jax.tflite.flatbuffer import add_metadata, count_operators, quantize_to_float16, read_metadata
from mdepth_jax.tflite.interpreter import count_partitions, create_interpreter


def run(content, image):
    interpreter = create_interpreter(model_content=content)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis].astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_metadata_travels_with_the_file(content, images):
    metadata = {"output": "larger = farther", "größe": [1, 2.5, None]}
    described = add_metadata(content, metadata)
    assert read_metadata(described) == metadata
    assert read_metadata(content) == {}
    np.testing.assert_array_equal(run(described, images[0]), run(content, images[0]))
    signatures = [create_interpreter(model_content=file).get_signature_list() for file in (described, content)]
    assert signatures[0] == signatures[1]


def test_weights_stay_aligned(content):
    described = add_metadata(content, {"text": "x" * 7})
    kernels = [
        bytes(buffer.data)
        for buffer in flatbuffer_utils.read_model_from_bytearray(bytearray(described)).buffers
        if buffer.data is not None and len(buffer.data) > 256
    ]
    assert kernels
    assert all(described.index(kernel) % 16 == 0 for kernel in kernels)


def test_operators_are_counted(content):
    counts = count_operators(content)
    assert counts["CONV_2D"] == 20  # stem, 13 blocks, 5 of the decoder, prediction
    assert counts["DEPTHWISE_CONV_2D"] == 13 + 1 + 4 * 2  # two rows where the size doubles


@pytest.mark.parametrize("min_elements", [1, 4096])
def test_large_weights_in_float16(content, images, min_elements):
    halved = quantize_to_float16(content, min_elements)
    expected = run(content, images[0])
    error = np.abs(run(halved, images[0]) - expected).max() / np.ptp(expected)
    assert 0 < error < 5e-3
    assert len(halved) < 0.6 * len(content)
    assert count_operators(halved) - count_operators(content) == {"DEQUANTIZE": count_operators(halved)["DEQUANTIZE"]}
    assert count_partitions(create_interpreter(model_content=halved)) == 1


def test_no_weight_is_large_enough(content):
    assert count_operators(quantize_to_float16(content, 10**9)) == count_operators(content)
