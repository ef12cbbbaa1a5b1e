"""Networks in ONNX files, run with the optional package onnxruntime."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from mdepth_jax.data.builders.teacher_presets import NetworkFormat
from mdepth_jax.data.images import resize_image
from mdepth_jax.errors import UserError

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxNetwork:
    """A network that predicts one map from one image.

    One thread computes an image; several threads may call it at a time.

    Args:
        path: Path of the ONNX file.
        format: Input and output of the network.
        size: Short side of the input, for a file that takes images of any size; None for that of the format.
        output: Name of the output that is the map; None if there is only one.

    Attributes:
        path: Path of the file.
        format: Input and output of the network.
        fixed_size: (height, width) of the input, each None where the file takes any.
        size: Short side of the input where the file takes any size.
        output: Name of the output.

    Raises:
        UserError: If onnxruntime is not installed, the file is missing or no ONNX file, or its input or output is not
            an image or a map.
    """

    def __init__(self, path: Path, format: NetworkFormat, *, size: int | None = None, output: str | None = None):
        self.path, self.format = path, format
        self._session = _open_session(path)
        self._input, self._type, self.fixed_size = _check_input(path, self._session.get_inputs())
        self.output = _choose_output(path, self._session.get_outputs(), output)
        self.size = size or format.size
        if size and None not in self.fixed_size:
            height, width = self.fixed_size
            raise UserError(f"`size={size}`: {path} takes images of {width}x{height} only; leave it out")
        if self.size is None and None in self.fixed_size:
            raise UserError(f"{path}: takes images of any size; choose the short side by `size`, such as `size=256`")
        factor = format.value_range / 255 / np.array(format.deviation)
        self._factor = factor.astype(np.float32)
        self._offset = (-np.array(format.mean) / format.deviation).astype(np.float32)

    def input_size(self, image_size: tuple[int, int], scale: float = 1.0) -> tuple[int, int]:
        """Returns the (height, width) at which the network sees an image.

        Args:
            image_size: (height, width) of the image.
            scale: Factor of both sides, where the file takes any size.
        """
        short = (self.size or 0) * scale / min(image_size)
        multiple = self.format.multiple
        height, width = (
            fixed or max(multiple, round(side * short / multiple) * multiple)
            for fixed, side in zip(self.fixed_size, image_size, strict=True)
        )
        return height, width

    def predict(
        self, image: UInt8[np.ndarray, "height width 3"], *, scale: float = 1.0
    ) -> Float32[np.ndarray, "map_height map_width"]:
        """Predicts a map, at the size of the network's output.

        Args:
            image: RGB image, 0 to 255.
            scale: Factor of the input's sides, see `input_size`.

        Raises:
            UserError: If the network fails, or its output is not one map of finite values.
        """
        small = resize_image(image, *self.input_size(image.shape[:2], scale))
        values = small * self._factor + self._offset
        if self.format.channels == "bgr":
            values = values[..., ::-1]
        array: np.ndarray = np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis], self._type)
        try:
            (result,) = self._session.run([self.output], {self._input: array})
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise UserError(
                f"{self.path}: fails on an image of {small.shape[1]}x{small.shape[0]} ({_first_line(error)})"
            ) from None
        return self._check_map(np.asarray(result, np.float32))

    def _check_map(self, result: np.ndarray) -> Float32[np.ndarray, "map_height map_width"]:
        sides = result.shape[-2:]
        if result.ndim not in (2, 3, 4) or result.size != np.prod(sides) or min(sides) < 2:
            raise UserError(
                f"{self.path}: output {self.output!r} has the shape {list(result.shape)}; it must be one map,"
                " [1, 1, height, width] or [1, height, width]"
            )
        if not np.isfinite(result).all():
            raise UserError(
                f"{self.path}: output {self.output!r} holds values that are not finite; check the scaling of the input"
                " (`value_range`, `mean`, `deviation`) and the file"
            )
        return result.reshape(sides)


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("ONNX files need the package onnxruntime: pip install 'mdepth_jax[onnx]'") from None
    return onnxruntime


def _open_session(path: Path) -> Any:
    onnxruntime = _onnxruntime()
    if not path.is_file():
        raise UserError(f"{path}: no such file; choose an ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # images are computed in parallel
    options.log_severity_level = 3  # errors alone
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise UserError(
            f"{path}: not an ONNX file, or damaged, or too new for onnxruntime ({_first_line(error)})"
        ) from None


def _check_input(path: Path, inputs: list[Any]) -> tuple[str, type, tuple[int | None, int | None]]:
    """Returns the name, the type and the (height, width) of the one input; None for a free side."""
    if len(inputs) != 1:
        raise UserError(f"{path}: has {len(inputs)} inputs ({_names(inputs)}); it must have one, the image")
    (image,) = inputs
    described = f"{path}: input {image.name!r} is {image.type} {image.shape}"
    if image.type not in _TYPES:
        raise UserError(f"{described}; it must be of floating-point numbers of 32 or 16 bits")
    if len(image.shape) != 4:
        raise UserError(f"{described}; it must have four axes, [1, 3, height, width]")
    batch, channels, *sides = (side if isinstance(side, int) else None for side in image.shape)
    if channels not in (3, None):
        raise UserError(f"{described}, {channels} channels; it must be [1, 3, height, width], the channels first")
    if batch not in (1, None):
        raise UserError(f"{described}, batches of {batch}; export it for one image")
    return image.name, _TYPES[image.type], (sides[0], sides[1])


def _choose_output(path: Path, outputs: list[Any], wanted: str | None) -> str:
    names = [output.name for output in outputs]
    if wanted is None and len(outputs) > 1:
        raise UserError(f"{path}: has {len(outputs)} outputs ({_names(outputs)}); name one by `output_name`")
    if wanted is not None and wanted not in names:
        raise UserError(f"`output_name={wanted}`: {path} has no such output; choose from {_names(outputs)}")
    chosen = outputs[names.index(wanted) if wanted else 0]
    if len(chosen.shape or [1, 1]) not in (2, 3, 4):
        raise UserError(
            f"{path}: output {chosen.name!r} has the shape {chosen.shape}; it must be one map, [1, 1, height, width] or"
            " [1, height, width]"
        )
    return chosen.name


def _names(nodes: list[Any]) -> str:
    return ", ".join(node.name for node in nodes)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
