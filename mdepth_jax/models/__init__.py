"""Networks: encoders, decoders and the depth network that they make up."""

from mdepth_jax.models.decoders import DECODERS, DepthOutputs
from mdepth_jax.models.depth_net import DepthNet, build_model
from mdepth_jax.models.encoders import ENCODERS

__all__ = ["DECODERS", "ENCODERS", "DepthNet", "DepthOutputs", "build_model"]
