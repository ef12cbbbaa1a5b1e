"""Projects that publish ImageNet weights of our encoders."""

from mdepth_jax.models.pretrained.fastdepth import FASTDEPTH
from mdepth_jax.models.pretrained.keras import KERAS
from mdepth_jax.models.pretrained.timm import TIMM
from mdepth_jax.models.pretrained.torchvision import TORCHVISION

# Publishers of files in PyTorch's layout, recognized by the names of the tensors; a tie goes to the first.
PYTORCH_PUBLISHERS = (TIMM, TORCHVISION, FASTDEPTH)

__all__ = ["FASTDEPTH", "KERAS", "PYTORCH_PUBLISHERS", "TIMM", "TORCHVISION"]
