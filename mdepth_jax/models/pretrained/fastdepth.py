"""The names of FastDepth's classifier."""

from mdepth_jax.models.encoders.mobilenet_v1 import MobileNetV1
from mdepth_jax.models.pretrained.naming import NamedLayers, Recipe, Rule, Source, name_layers


def mobilenet_v1(encoder: MobileNetV1) -> NamedLayers:
    """Sequences count activations, too."""
    yield from name_layers(encoder.stem, "model.0.0", "model.0.1")
    for number, block in enumerate(encoder.blocks, start=1):
        yield from name_layers(block.depthwise, f"model.{number}.0", f"model.{number}.1")
        yield from name_layers(block.pointwise, f"model.{number}.3", f"model.{number}.4")


FASTDEPTH = Source(
    "FastDepth",
    {MobileNetV1: Rule(mobilenet_v1, (Recipe("torchvision", 1e-5),))},
    left_out=("fc.",),
    suffixes=(".tar", ".pth"),
)
