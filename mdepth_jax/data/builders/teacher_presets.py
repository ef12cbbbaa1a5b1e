"""Published networks: what they take as input and what their output means, with the source of every value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mdepth_jax.data.map_info import Meaning

Channels = Literal["rgb", "bgr"]
Triple = tuple[float, float, float]
_IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class NetworkFormat:
    """Input and output of a network.

    Attributes:
        meaning: Meaning of the output.
        has_zero: Whether zero of the output is zero depth, or zero inverse depth; without it there is no logarithm.
        size: Short side of the input in pixels, where the file takes any size; None if it has to be given.
        multiple: Number that divides both sides of the input, where the file takes any size.
        value_range: Value of the brightest pixel, 1 or 255, before `mean` and `deviation`.
        mean: Values subtracted from red, green and blue.
        deviation: Values that red, green and blue are divided by after that.
        channels: Order of the channels.
        reference: Source of the values.
        note: What a user has to know, and what could not be verified.
    """

    meaning: Meaning = "relative depth"
    has_zero: bool = True
    size: int | None = None
    multiple: int = 32
    value_range: float = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    deviation: Triple = (1.0, 1.0, 1.0)
    channels: Channels = "rgb"
    reference: str = ""
    note: str = ""


PRESETS: Mapping[str, NetworkFormat] = {
    "depth_anything_v2": NetworkFormat(
        meaning="inverse relative depth",
        has_zero=False,
        size=518,
        multiple=14,
        mean=_IMAGENET_MEAN,
        deviation=_IMAGENET_DEVIATION,
        reference="https://github.com/DepthAnything/Depth-Anything-V2 (depth_anything_v2/dpt.py, image2tensor)",
        note="not for the metric variants, whose output is meters; who exports the ONNX file decides whether it holds"
        " the normalization itself",
    ),
    "midas_small": NetworkFormat(
        meaning="inverse relative depth",
        has_zero=False,
        size=192,
        mean=_IMAGENET_MEAN,
        deviation=_IMAGENET_DEVIATION,
        reference="https://github.com/isl-org/MiDaS (hubconf.py, small_transform)",
        note="256 is the long side there, 192 the short one of a 4:3 photograph; the values are those of the PyTorch"
        " network. tf/make_onnx_model.py there builds the normalization into the ONNX file of the large network; for"
        " such a file give mean 0 0 0 and deviation 1 1 1 (not verified for the small one)",
    ),
    "zipdepth": NetworkFormat(
        meaning="inverse relative depth",
        has_zero=False,
        size=384,
        reference="https://github.com/fabiotosi92/ZipDepth (inference/predictor.py, evaluation/evaluator.py, README)",
        note="scripts/export.py writes files of one size, 384x384 by default",
    ),
    "tcmonodepth": NetworkFormat(
        meaning="inverse relative depth",
        size=256,
        value_range=255.0,
        reference="https://github.com/yu-li/TCMonoDepth (demo.py; networks/TCSmallNet.py divides by 255 itself)",
        note="the small network; the shift of its output is not stated, its ReLU keeps it from being negative",
    ),
    "fastdepth": NetworkFormat(
        meaning="depth in meters",
        size=224,
        reference="https://github.com/dwofk/fast-depth (dataloaders/nyu.py, val_transform)",
        note="published for 224x224 squeezed from the middle 228x304 of a frame of NYUv2 at 250 rows",
    ),
}
