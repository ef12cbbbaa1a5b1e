"""Names of the tensors of the MobileNet classifier that FastDepth publishes."""

from mdepth_jax.models.encoders.mobilenet_v1 import MobileNetV1
from mdepth_jax.models.pretrained.naming import NamedLayers, Publisher, Recipe, Rule, name_layers


def mobilenet_v1(encoder: MobileNetV1) -> NamedLayers:
    """Names the layers by their position in sequences that include the activations."""
    yield from name_layers(encoder.stem, "model.0.0", "model.0.1")
    for number, block in enumerate(encoder.blocks, start=1):
        yield from name_layers(block.depthwise, f"model.{number}.0", f"model.{number}.1")
        yield from name_layers(block.pointwise, f"model.{number}.3", f"model.{number}.4")


FASTDEPTH = Publisher(
    "FastDepth",
    {MobileNetV1: Rule(mobilenet_v1, (Recipe("torchvision", 1e-5),))},
    left_out=("fc.",),
    suffixes=(".tar", ".pth"),
)
