"""What a `.tflite` file holds beside the network: its operations by name, and what we say about it."""

import copy
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

METADATA = b"mdepth_jax"  # name of our entry in the file's own table of metadata


def read(content: bytes) -> schema.ModelT:
    """Gives the content of a file as objects, to look at and to change."""
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def pack(model: schema.ModelT) -> bytes:
    """Gives the content of a file that says what a model does."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def floats(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """The values of a constant in float32; none of any other tensor."""
    data = model.buffers[tensor.buffer].data
    is_constant = tensor.type == schema.TensorType.FLOAT32 and data is not None
    return np.frombuffer(bytes(data) if is_constant else b"", np.float32)


def add_buffer(model: schema.ModelT, data: bytes) -> int:
    """Adds data to a model and gives their number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def add_metadata(content: bytes, about: dict[str, Any]) -> bytes:
    """Gives the content of a file to which an entry with `about`, as JSON, is added."""
    model = read(content)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, add_buffer(model, json.dumps(about, indent=2).encode())
    model.metadata = [*(model.metadata or []), entry]
    return pack(model)


def store_in_float16(content: bytes, smallest: int) -> bytes:
    """Gives the content of a file with the constants of large operations in float16; they are widened on loading.

    XNNPACK takes a convolution only if its kernel and its bias are stored alike.

    Args:
        content: Of a file in float32.
        smallest: Number of elements of an operation's largest constant, from which on it counts as large.
    """
    model = read(content)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first that reads float16
    model.operatorCodes.append(code)
    (graph,) = model.subgraphs
    for operator in list(graph.operators):
        constants = [(index, data) for index in operator.inputs if len(data := floats(model, graph.tensors[index]))]
        if max((len(data) for _, data in constants), default=0) < smallest:
            continue
        for index, data in constants:
            tensor = graph.tensors[index]
            stored = copy.copy(tensor)
            stored.name, stored.type = tensor.name + b"/float16", schema.TensorType.FLOAT16
            stored.buffer = add_buffer(model, data.astype(np.float16).tobytes())
            model.buffers[tensor.buffer].data, tensor.buffer = None, 0
            widen = schema.OperatorT()
            widen.opcodeIndex, widen.inputs, widen.outputs = len(model.operatorCodes) - 1, [len(graph.tensors)], [index]
            graph.tensors.append(stored)
            graph.operators.insert(0, widen)
    return pack(model)


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
    model = read(content)
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    return Counter(flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) for operator in operators)


class Writer:
    """Puts a file together, operation by operation; tensors are numbers, and all that is computed is float32."""

    def __init__(self) -> None:
        self._graph = schema.SubGraphT(tensors=[], operators=[])
        empty = schema.BufferT()  # by convention the first: that of tensors that are no constants
        self._model = schema.ModelT(version=3, operatorCodes=[], subgraphs=[self._graph], buffers=[empty])
        self._codes: dict[str, int] = {}

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Gives the shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def tensor(self, shape: Sequence[int]) -> int:
        """Adds what is given from outside or computed."""
        return self._add_tensor(shape, schema.TensorType.FLOAT32, 0)

    def constant(self, values: np.ndarray) -> int:
        """Adds an array, float32 or int32."""
        kind = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}[values.dtype.name]
        return self._add_tensor(values.shape, kind, add_buffer(self._model, values.tobytes()))

    def operator(self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Any) -> int:
        """Adds an operation by its name in TFLite, with its options; gives its output, of the given shape."""
        if name not in self._codes:
            self._codes[name] = len(self._codes)
            number = getattr(schema.BuiltinOperator, name)
            self._model.operatorCodes.append(schema.OperatorCodeT(number, builtinCode=number))
        output = self.tensor(shape)
        kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator = schema.OperatorT(self._codes[name], list(inputs), [output], kind, options)
        self._graph.operators.append(operator)
        return output

    def content(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Gives the content of the file."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        return pack(self._model)

    def _add_tensor(self, shape: Sequence[int], kind: int, buffer: int) -> int:
        name = str(len(self._graph.tensors)).encode()
        self._graph.tensors.append(schema.TensorT(list(shape), kind, buffer, name))
        return len(self._graph.tensors) - 1


class _AlignedBuffer(schema.BufferT):
    """A buffer that starts at a multiple of 16 bytes, as TFLite's schema asks and its Python code forgets."""

    def __init__(self, data: np.ndarray | None):
        super().__init__()
        self.data = data

    def Pack(self, builder):  # noqa: N802
        if self.data is not None:
            builder.Prep(16, len(self.data))
        return super().Pack(builder)
