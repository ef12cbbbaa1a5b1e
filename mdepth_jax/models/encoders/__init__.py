"""Encoders: networks of features at strides 2, 4, 8, 16, 32 and of a head, with `encoder.widths` channels."""

from collections.abc import Callable, Mapping
from typing import Any

from mdepth_jax.models.encoders.efficientnet import EfficientNetB0, EfficientNetES
from mdepth_jax.models.encoders.ghostnet import GhostNet
from mdepth_jax.models.encoders.mixnet import MixNetM, MixNetS
from mdepth_jax.models.encoders.mnasnet import MNasNet
from mdepth_jax.models.encoders.mobilenet_v1 import MobileNetV1
from mdepth_jax.models.encoders.mobilenet_v2 import MobileNetV2
from mdepth_jax.models.encoders.mobilenet_v3 import MobileNetV3Large
from mdepth_jax.models.encoders.resnet import ResNet50
from mdepth_jax.models.encoders.shufflenet_v2 import ShuffleNetV2

# In the order of the paper's Table 1; the last one is the teacher's.
ENCODERS: Mapping[str, Callable[..., Any]] = {
    "shufflenet_v2": ShuffleNetV2,
    "mnasnet": MNasNet,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_large": MobileNetV3Large,
    "efficientnet_es": EfficientNetES,
    "efficientnet_b0": EfficientNetB0,
    "ghostnet": GhostNet,
    "mixnet_m": MixNetM,
    "mixnet_s": MixNetS,
    "mobilenet_v1": MobileNetV1,
    "resnet50": ResNet50,
}

__all__ = [
    "ENCODERS",
    "EfficientNetB0",
    "EfficientNetES",
    "GhostNet",
    "MNasNet",
    "MixNetM",
    "MixNetS",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3Large",
    "ResNet50",
    "ShuffleNetV2",
]
