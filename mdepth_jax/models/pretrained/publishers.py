"""Projects that publish weights of our encoders: for each one table of rules for the names."""

from mdepth_jax.models.pretrained.fastdepth import FASTDEPTH
from mdepth_jax.models.pretrained.keras import KERAS
from mdepth_jax.models.pretrained.timm import TIMM
from mdepth_jax.models.pretrained.torchvision import TORCHVISION

# Of files that tell their source by their names; the first of those that fit alike.
PYTORCH_SOURCES = (TIMM, TORCHVISION, FASTDEPTH)

__all__ = ["FASTDEPTH", "KERAS", "PYTORCH_SOURCES", "TIMM", "TORCHVISION"]
