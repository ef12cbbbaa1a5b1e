"""Reading and writing the flatbuffer of a `.tflite` file: operators, constants, metadata.

The terms are those of TFLite's schema (tensorflow/lite/schema/schema.fbs): a model holds subgraphs, a subgraph holds
tensors and operators, and the values of constant tensors stand in the model's buffers.
"""

import copy
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

METADATA = b"mdepth_jax"  # name of our entry in the metadata of a model


def parse_model(content: bytes) -> schema.ModelT:
    """Parses the content of a `.tflite` file into mutable objects."""
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def serialize_model(model: schema.ModelT) -> bytes:
    """Serializes a model; the inverse of `parse_model`."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def read_float32(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """Reads the values of a constant float32 tensor, flat; empty for any other tensor."""
    data = model.buffers[tensor.buffer].data
    is_constant = tensor.type == schema.TensorType.FLOAT32 and data is not None
    return np.frombuffer(bytes(data) if is_constant else b"", np.float32)


def add_buffer(model: schema.ModelT, data: bytes) -> int:
    """Adds a buffer to a model, in place, and returns its index."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def add_metadata(content: bytes, metadata: dict[str, Any]) -> bytes:
    """Adds our metadata entry to a `.tflite` file.

    Args:
        content: Content of the file.
        metadata: Values of the entry, which is stored as JSON.

    Returns:
        The content of the new file.
    """
    model = parse_model(content)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, add_buffer(model, json.dumps(metadata, indent=2).encode())
    model.metadata = [*(model.metadata or []), entry]
    return serialize_model(model)


def read_metadata(content: bytes) -> dict[str, Any]:
    """Reads the metadata that `add_metadata` added to a `.tflite` file; empty if there is none."""
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA:
            return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return {}


def quantize_to_float16(content: bytes, min_elements: int) -> bytes:
    """Quantizes the weights of large operators to float16; DEQUANTIZE operators convert them back on loading.

    XNNPACK takes a convolution only if its kernel and its bias have the same type, so that both are quantized.

    Args:
        content: Content of a float32 file.
        min_elements: Smallest number of elements of an operator's largest constant for which it counts as large.

    Returns:
        The content of the new file.
    """
    model = parse_model(content)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first version that reads float16
    model.operatorCodes.append(code)
    (graph,) = model.subgraphs
    for operator in list(graph.operators):
        constants = [
            (index, values) for index in operator.inputs if len(values := read_float32(model, graph.tensors[index]))
        ]
        if max((len(values) for _, values in constants), default=0) < min_elements:
            continue
        for index, values in constants:
            tensor = graph.tensors[index]
            half = copy.copy(tensor)
            half.name, half.type = tensor.name + b"/float16", schema.TensorType.FLOAT16
            half.buffer = add_buffer(model, values.astype(np.float16).tobytes())
            model.buffers[tensor.buffer].data, tensor.buffer = None, 0
            cast = schema.OperatorT()
            cast.opcodeIndex, cast.inputs, cast.outputs = len(model.operatorCodes) - 1, [len(graph.tensors)], [index]
            graph.tensors.append(half)
            graph.operators.insert(0, cast)
    return serialize_model(model)


def count_operators(content: bytes) -> Counter[str]:
    """Counts the operators of a `.tflite` file by their names in TFLite, such as `CONV_2D`."""
    model = parse_model(content)
    operators = [operator for graph in model.subgraphs for operator in graph.operators]
    return Counter(flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) for operator in operators)


class ModelBuilder:
    """Builds a float32 model operator by operator; tensors are referred to by their indices."""

    def __init__(self) -> None:
        self._graph = schema.SubGraphT(tensors=[], operators=[])
        empty = schema.BufferT()  # by convention buffer 0 is that of all tensors that are not constant
        self._model = schema.ModelT(version=3, operatorCodes=[], subgraphs=[self._graph], buffers=[empty])
        self._codes: dict[str, int] = {}

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def add_tensor(self, shape: Sequence[int]) -> int:
        """Adds an input or an activation and returns its index."""
        return self._add_tensor(shape, schema.TensorType.FLOAT32, 0)

    def add_constant(self, values: np.ndarray) -> int:
        """Adds a constant tensor, float32 or int32, and returns its index."""
        kind = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}[values.dtype.name]
        return self._add_tensor(values.shape, kind, add_buffer(self._model, values.tobytes()))

    def add_operator(self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Any) -> int:
        """Adds an operator with one output and returns the index of that tensor.

        Args:
            name: Name in TFLite, such as `CONV_2D`.
            inputs: Indices of the input tensors.
            shape: Shape of the output.
            options: Builtin options of the operator, an object of TFLite's schema.
        """
        if name not in self._codes:
            self._codes[name] = len(self._codes)
            number = getattr(schema.BuiltinOperator, name)
            self._model.operatorCodes.append(schema.OperatorCodeT(number, builtinCode=number))
        output = self.add_tensor(shape)
        kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator = schema.OperatorT(self._codes[name], list(inputs), [output], kind, options)
        self._graph.operators.append(operator)
        return output

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Returns the content of the file.

        Args:
            inputs: Indices of the model's input tensors.
            outputs: Indices of the model's output tensors.
        """
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        return serialize_model(self._model)

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
