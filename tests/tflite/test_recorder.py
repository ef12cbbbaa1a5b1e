import numpy as np
import pytest

from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite.recorder import Recorder


@pytest.fixture(scope="module")
def double():
    """A file that doubles an image and adds 1."""
    module = tf.Module()
    module.predict = tf.function(
        lambda image: {"depth": tf.nn.relu(2 * image - 20) + 1},
        input_signature=[tf.TensorSpec((1, 2, 3, 3), name="image")],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.predict.get_concrete_function()], module)
    return bytes(converter.convert())


def test_outputs_of_every_operator(double):
    recorder = Recorder(double)
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    product, difference, total = recorder.operators
    assert recorder.operators[product][0] == recorder.input
    assert recorder.operators[difference][0] == product
    assert recorder.operators[total][0] == difference
    for pixels in (image, 2 * image):  # the second run replaces the first
        recorder.run(pixels)
        x = pixels[np.newaxis].astype(np.float64)
        np.testing.assert_array_equal(recorder[recorder.input], x)
        np.testing.assert_array_equal(recorder[product], 2 * x)
        np.testing.assert_array_equal(recorder[difference], np.maximum(2 * x - 20, 0))
        np.testing.assert_array_equal(recorder[total], np.maximum(2 * x - 20, 0) + 1)
    assert recorder[total].dtype == np.float64


def test_integers_are_dequantized(content, int8, images):
    expected, quantized = Recorder(content), Recorder(int8)
    shared = [name for name in expected.operators if name in quantized.operators]
    for recorder in (expected, quantized):
        recorder.run(images[0])
    assert shared
    assert quantized._details[shared[0]]["dtype"] == np.int8
    extent = np.ptp(expected[shared[0]])
    np.testing.assert_allclose(quantized[shared[0]], expected[shared[0]], rtol=0, atol=extent / 100)
