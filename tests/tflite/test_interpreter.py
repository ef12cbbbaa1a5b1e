import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite.interpreter import DepthInterpreter, dequantize, open_interpreter, quantize
from tests.tflite.networks import SIZE


@pytest.fixture(scope="module")
def path(content, tmp_path_factory):
    file = tmp_path_factory.mktemp("file") / "m.tflite"
    file.write_bytes(content)
    return file


def test_runs_images_one_by_one(path, images):
    interpreter = DepthInterpreter(path, threads=2)
    assert (interpreter.height, interpreter.width) == SIZE
    assert interpreter.metadata == {}
    depth = interpreter(np.stack(images[:3]))
    assert depth.shape == (3, *SIZE, 1)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth[2:], interpreter(images[2][np.newaxis].astype(np.float32)))
    with pytest.raises(ValueError, match="64x96"):
        interpreter(np.zeros((1, 96, 64, 3), np.uint8))


def test_quantization_of_values():
    tensor = {"dtype": np.uint8, "quantization": (0.5, 10)}
    stored = quantize(np.float32([-5, 0, 0.3, 1000]), tensor)
    assert stored.dtype == np.uint8
    assert stored.tolist() == [0, 10, 11, 255]
    np.testing.assert_array_equal(dequantize(stored, tensor), np.float32([-5, 0, 0.5, 122.5]))


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x1c\0\0\0TFL3"])
def test_not_a_tflite_file(tmp_path, content):
    file = tmp_path / "m.tflite"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.tflite: damaged or not a \.tflite file"):
        open_interpreter(file)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        DepthInterpreter(tmp_path / "m.tflite")


def test_another_signature(tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((1, 4, 4, 3), name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.double.get_concrete_function()], module)
    file = tmp_path / "other.tflite"
    file.write_bytes(converter.convert())
    assert open_interpreter(file)
    with pytest.raises(UserError, match=r"other\.tflite: its signature is not image -> depth"):
        DepthInterpreter(file)
