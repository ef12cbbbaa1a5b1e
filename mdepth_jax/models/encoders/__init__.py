"""Encoders: each gives features at strides 2, 4, 8, 16, 32 and its head's, of `encoder.widths` channels."""

from mdepth_jax.models.encoders.mobilenet_v2 import MobileNetV2

ENCODERS = {"mobilenet_v2": MobileNetV2}

__all__ = ["ENCODERS", "MobileNetV2"]
