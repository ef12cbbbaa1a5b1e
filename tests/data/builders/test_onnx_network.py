import sys

import numpy as np
import pytest

from mdepth_jax.data.builders.onnx_network import OnnxNetwork
from mdepth_jax.data.builders.teacher_presets import NetworkFormat
from mdepth_jax.data.images import resize_image
from mdepth_jax.errors import UserError
from tests.data.builders.networks import onnx, write_network

PLAIN = NetworkFormat()


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


def test_the_input_is_scaled_as_the_format_says(tmp_path, image):
    path = write_network(tmp_path / "red.onnx", weights=(1, 0, 0))
    small = resize_image(image, 8, 12).astype(np.float32)
    np.testing.assert_allclose(OnnxNetwork(path, PLAIN).predict(image), small[..., 0] / 255, rtol=1e-5)
    bytes_in_bgr = NetworkFormat(value_range=255.0, channels="bgr")
    np.testing.assert_allclose(OnnxNetwork(path, bytes_in_bgr).predict(image), small[..., 2], rtol=1e-5)
    normal = NetworkFormat(mean=(0.5, 0.25, 0.125), deviation=(0.5, 2.0, 4.0))
    expected = small[..., 0] / 255 / 0.5 - 1
    np.testing.assert_allclose(OnnxNetwork(path, normal).predict(image), expected, rtol=1e-4, atol=1e-6)
    swapped = NetworkFormat(mean=(0.5, 0.25, 0.125), deviation=(0.5, 2.0, 4.0), channels="bgr")  # of the same colors
    expected = (small[..., 2] / 255 - 0.125) / 4
    np.testing.assert_allclose(OnnxNetwork(path, swapped).predict(image), expected, rtol=1e-4, atol=1e-6)


def test_a_file_of_any_size_sees_the_aspect_of_the_picture(tmp_path, image):
    path = write_network(tmp_path / "any.onnx", size=("height", "width"))
    network = OnnxNetwork(path, NetworkFormat(size=64))
    assert network.input_size((480, 640)) == (64, 96)
    assert network.input_size((640, 480), scale=2.0) == (160, 128)
    assert network.input_size((10, 1000)) == (64, 6400)
    assert OnnxNetwork(path, NetworkFormat(size=64, multiple=14), size=28).input_size((28, 45)) == (28, 42)
    assert network.predict(image).shape == (64, 96)
    with pytest.raises(UserError, match="takes images of any size; choose the short side by `size`"):
        OnnxNetwork(path, PLAIN)


def test_half_precision_and_maps_without_channels(tmp_path, image):
    path = write_network(tmp_path / "half.onnx", type=onnx.TensorProto.FLOAT16, map_shape=(1, 8, 12))
    values = OnnxNetwork(path, PLAIN).predict(image)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, resize_image(image, 8, 12).sum(-1) / 255, atol=0.01)


def test_one_of_several_outputs(tmp_path, image):
    path = write_network(tmp_path / "two.onnx", outputs=("depth", "confidence"))
    with pytest.raises(UserError, match=r"has 2 outputs \(depth, confidence\); name one by `output_name`"):
        OnnxNetwork(path, PLAIN)
    with pytest.raises(UserError, match=r"`output_name=disparity`: .* choose from depth, confidence"):
        OnnxNetwork(path, PLAIN, output="disparity")
    assert OnnxNetwork(path, PLAIN, output="depth").predict(image).shape == (8, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": (1,)}, "1 channels; it must be"),
        ({"batch": 2}, "batches of 2; export it for one image"),
        ({"map_shape": (1, 1, 1, 8, 12)}, r"shape \[1, 1, 1, 8, 12\]; it must be one map"),
        ({"type": 3}, r"is tensor\(int8\) .*floating-point numbers"),
    ],
)
def test_files_that_take_no_image_or_give_no_map(tmp_path, options, message):
    path = write_network(tmp_path / "other.onnx", **options)
    with pytest.raises(UserError, match=f"other.onnx: .*{message}"):
        OnnxNetwork(path, PLAIN)


def test_an_input_of_another_rank(tmp_path):
    info = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [3, 8, 12])
    depth = onnx.helper.make_tensor_value_info("depth", onnx.TensorProto.FLOAT, [3, 8, 12])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["image"], ["depth"])], "relu", [info], [depth])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "rank.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"\[3, 8, 12\]; it must have four axes"):
        OnnxNetwork(tmp_path / "rank.onnx", PLAIN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": np.nan}, "holds values that are not finite; check the scaling of the input"),
        ({"map_shape": (1, 2, 4, 12)}, r"the shape \[1, 2, 4, 12\]; it must be one map"),
    ],
)
def test_outputs_that_are_no_map_of_numbers(tmp_path, image, options, message):
    network = OnnxNetwork(write_network(tmp_path / "odd.onnx", **options), PLAIN)
    with pytest.raises(UserError, match=message):
        network.predict(image)


def test_files_that_are_no_network(tmp_path):
    with pytest.raises(UserError, match=r"none\.onnx: no such file"):
        OnnxNetwork(tmp_path / "none.onnx", PLAIN)
    (tmp_path / "text.onnx").write_text("no protobuf")
    with pytest.raises(UserError, match=r"text\.onnx: not an ONNX file, or damaged"):
        OnnxNetwork(tmp_path / "text.onnx", PLAIN)


def test_a_size_for_a_file_that_has_its_own(tmp_path):
    with pytest.raises(UserError, match=r"`size=16`: .* takes images of 12x8 only"):
        OnnxNetwork(write_network(tmp_path / "fixed.onnx"), PLAIN, size=16)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'mdepth_jax\[onnx\]'"):
        OnnxNetwork(tmp_path / "any.onnx", PLAIN)
