"""Networks: encoders, decoders and the depth network built from them; weights; teachers."""

from mdepth_jax.models.complexity import count_macs, count_parameters
from mdepth_jax.models.decoders import DECODERS, DepthOutputs
from mdepth_jax.models.depth_net import DepthNet, build_model, default_config
from mdepth_jax.models.discriminator import Discriminator, SpectralVector
from mdepth_jax.models.encoders import ENCODERS
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.pretrained.load import load_pretrained
from mdepth_jax.models.teachers import load_encdecresnet, load_teacher
from mdepth_jax.models.weights import TEACHERS, Start, Weights, load_weights, save_weights, start_from

__all__ = [
    "DECODERS",
    "ENCODERS",
    "TEACHERS",
    "DepthNet",
    "DepthOutputs",
    "Discriminator",
    "Header",
    "SpectralVector",
    "Start",
    "TrainingRun",
    "Weights",
    "build_model",
    "count_macs",
    "count_parameters",
    "default_config",
    "load_encdecresnet",
    "load_pretrained",
    "load_teacher",
    "load_weights",
    "save_weights",
    "start_from",
]
