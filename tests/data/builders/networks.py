"""Tiny ONNX files: a weighted sum of the channels of an image."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="writes ONNX files: pip install -e '.[test]'")
pytest.importorskip("onnxruntime", reason="runs ONNX files: pip install -e '.[test]'")

BRIGHTNESS = (1.0, 1.0, 1.0)


def write_network(
    path,
    size=(8, 12),
    weights=BRIGHTNESS,
    bias=0.0,
    *,
    batch=1,
    map_shape=None,
    outputs=("depth",),
    ramp=None,
    type=None,
):
    """Writes a network whose output is the sum of the weighted channels and a bias.

    Args:
        path: Path of the file.
        size: (height, width) of its input; names for sides of any length.
        weights: Weights of the channels, at least one.
        bias: Bias.
        batch: Size of a batch.
        map_shape: Shape that the output is brought into; None for [batch, 1, height, width].
        outputs: Names of the outputs, which are all the same.
        ramp: Map that is added, of the size of the input; None for none.
        type: Type of the input, as `onnx.TensorProto` numbers it; float32 by default.
    """
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    constants = {
        "weights": np.float32(weights).reshape(1, -1, 1, 1),
        "bias": np.float32([bias]),
        "ramp": np.float32(0 if ramp is None else ramp),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=float32),
        helper.make_node("Conv", ["float", "weights", "bias"], ["sum"]),
        helper.make_node("Add", ["sum", "ramp"], ["map"]),
    ]
    shape = [batch, 1, *size]
    if map_shape is not None:
        constants["shape"], shape = np.int64(map_shape), list(map_shape)
        nodes.append(helper.make_node("Reshape", ["map", "shape"], ["last"]))
    nodes += [helper.make_node("Identity", [nodes[-1].output[0]], [name]) for name in outputs]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", type or float32, [batch, len(weights), *size])],
        [helper.make_tensor_value_info(name, float32, shape) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
