"""Decoders: each turns the six features of an encoder, of `encoder.widths` channels, into `DepthOutputs`."""

from collections.abc import Callable, Mapping
from typing import Any

from mdepth_jax.models.decoders.fbnet import FBNetDecoder
from mdepth_jax.models.decoders.nnconv5 import NNConv5Decoder
from mdepth_jax.models.decoders.outputs import DepthOutputs
from mdepth_jax.models.decoders.redweb import ReDWebDecoder

DECODERS: Mapping[str, Callable[..., Any]] = {
    "nnconv5": NNConv5Decoder,
    "fbnet": FBNetDecoder,
    "redweb": ReDWebDecoder,
}

__all__ = ["DECODERS", "DepthOutputs", "FBNetDecoder", "NNConv5Decoder", "ReDWebDecoder"]
