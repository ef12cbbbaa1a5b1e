"""What a `.tflite` file holds beside the network: its operations by name, and what we say about it."""

import copy
import json
from collections import Counter
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

METADATA = b"mdepth_jax"  # name of our entry in the file's own table of metadata


def add_metadata(content: bytes, about: dict[str, Any]) -> bytes:
    """Gives the content of a file to which an entry with `about`, as JSON, is added."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, _add_buffer(model, json.dumps(about, indent=2).encode())
    model.metadata = [*(model.metadata or []), entry]
    return _pack(model)


def store_in_float16(content: bytes, smallest: int) -> bytes:
    """Gives the content of a file with the constants of large operations in float16; they are widened on loading.

    XNNPACK takes a convolution only if its kernel and its bias are stored alike.

    Args:
        content: Of a file in float32.
        smallest: Number of elements of an operation's largest constant, from which on it counts as large.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first that reads float16
    model.operatorCodes.append(code)
    (graph,) = model.subgraphs
    for operator in list(graph.operators):
        constants = [(index, data) for index in operator.inputs if len(data := _floats(model, graph.tensors[index]))]
        if max((len(data) for _, data in constants), default=0) < smallest:
            continue
        for index, data in constants:
            tensor = graph.tensors[index]
            stored = copy.copy(tensor)
            stored.name, stored.type = tensor.name + b"/float16", schema.TensorType.FLOAT16
            stored.buffer = _add_buffer(model, data.astype(np.float16).tobytes())
            model.buffers[tensor.buffer].data, tensor.buffer = None, 0
            widen = schema.OperatorT()
            widen.opcodeIndex, widen.inputs, widen.outputs = len(model.operatorCodes) - 1, [len(graph.tensors)], [index]
            graph.tensors.append(stored)
            graph.operators.insert(0, widen)
    return _pack(model)


def read_metadata(content: bytes) -> dict[str, Any]:
    """Gives what `add_metadata` added to the content of a file; empty if nothing."""
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA:
            return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return {}


def count_operators(content: bytes) -> Counter[str]:
    """Counts the operations of a file by their names in TFLite, such as `CONV_2D`."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    return Counter(flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) for operator in operators)


def _floats(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """The values of a constant in float32; none of any other tensor."""
    data = model.buffers[tensor.buffer].data
    is_constant = tensor.type == schema.TensorType.FLOAT32 and data is not None
    return np.frombuffer(bytes(data) if is_constant else b"", np.float32)


def _add_buffer(model: schema.ModelT, data: bytes) -> int:
    """Adds data to a file and gives their number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _pack(model: schema.ModelT) -> bytes:
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


class _AlignedBuffer(schema.BufferT):
    """A buffer that starts at a multiple of 16 bytes, as TFLite's schema asks and its Python code forgets."""

    def __init__(self, data: np.ndarray | None):
        super().__init__()
        self.data = data

    def Pack(self, builder):  # noqa: N802
        if self.data is not None:
            builder.Prep(16, len(self.data))
        return super().Pack(builder)
