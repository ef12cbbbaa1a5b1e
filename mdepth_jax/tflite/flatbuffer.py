"""What a `.tflite` file holds beside the network: its operations by name, and what we say about it."""

import json
from collections import Counter
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

METADATA = b"mdepth_jax"  # name of our entry in the file's own table of metadata


class _AlignedBuffer(schema.BufferT):
    """A buffer that starts at a multiple of 16 bytes, as TFLite's schema asks and its Python code forgets."""

    def __init__(self, data: np.ndarray | None):
        super().__init__()
        self.data = data

    def Pack(self, builder):  # noqa: N802
        if self.data is not None:
            builder.Prep(16, len(self.data))
        return super().Pack(builder)


def add_metadata(content: bytes, about: dict[str, Any]) -> bytes:
    """Gives the content of a file to which an entry with `about`, as JSON, is added."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA, len(model.buffers)
    text = np.frombuffer(json.dumps(about, indent=2).encode(), np.uint8)
    model.buffers = [_AlignedBuffer(data) for data in (*(buffer.data for buffer in model.buffers), text)]
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


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
