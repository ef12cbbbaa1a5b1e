"""Names of the tensors of timm (pytorch-image-models)."""

import itertools

from mdepth_jax.models.encoders.efficientnet import EfficientNetB0, EfficientNetES
from mdepth_jax.models.encoders.ghostnet import GhostBottleneck, GhostModule, GhostNet
from mdepth_jax.models.encoders.inverted_residuals import Block, InvertedResidualEncoder
from mdepth_jax.models.encoders.mixnet import MixNetM, MixNetS
from mdepth_jax.models.encoders.mnasnet import MNasNet
from mdepth_jax.models.encoders.mobilenet_v1 import MobileNetV1
from mdepth_jax.models.encoders.mobilenet_v2 import MobileNetV2
from mdepth_jax.models.encoders.mobilenet_v3 import MobileNetV3Large
from mdepth_jax.models.encoders.resnet import ResNet50
from mdepth_jax.models.layers import ConvNorm
from mdepth_jax.models.pretrained.naming import NamedLayers, Publisher, Recipe, Rule, block_parts, name_layers
from mdepth_jax.models.pretrained.torchvision import resnet50


def inverted_residuals(encoder: InvertedResidualEncoder) -> NamedLayers:
    """Names the layers of MobileNetV2 and its descendants."""
    yield from name_layers(encoder.stem, "conv_stem", "bn1")
    for (stage, index), block in zip(encoder.positions(), encoder.blocks, strict=True):
        yield from _inverted_residual(f"blocks.{stage}.{index}", block)
    yield from name_layers(encoder.head, "conv_head", "bn2")


def _inverted_residual(prefix: str, block: Block) -> NamedLayers:
    if isinstance(block, ConvNorm):
        yield from name_layers(block, f"{prefix}.conv", f"{prefix}.bn1")
        return
    parts = block_parts(block)
    names = {
        "expand": "conv_pw" if "depthwise" in parts else "conv_exp",
        "depthwise": "conv_dw",
        "project": "conv_pwl" if "expand" in parts else "conv_pw",
    }
    if "squeeze_excite" in parts:
        yield from name_layers(parts.pop("squeeze_excite"), f"{prefix}.se.conv_reduce", f"{prefix}.se.conv_expand")
    for number, (key, part) in enumerate(parts.items(), start=1):
        yield from name_layers(part, f"{prefix}.{names[key]}", f"{prefix}.bn{number}")


def mobilenet_v1(encoder: MobileNetV1) -> NamedLayers:
    """Names the layers; a stage holds all blocks of one width."""
    yield from name_layers(encoder.stem, "conv_stem", "bn1")
    stages = itertools.groupby(encoder.blocks, lambda block: block.pointwise.conv.out_channels)
    for stage, (_, blocks) in enumerate(stages):
        for index, block in enumerate(blocks):
            prefix = f"blocks.{stage}.{index}"
            yield from name_layers(block.depthwise, f"{prefix}.conv_dw", f"{prefix}.bn1")
            yield from name_layers(block.pointwise, f"{prefix}.conv_pw", f"{prefix}.bn2")


def ghostnet(encoder: GhostNet) -> NamedLayers:
    """Names the layers; the head has no normalization."""
    yield from name_layers(encoder.stem, "conv_stem", "bn1")
    for stage, blocks in enumerate(encoder.stages):
        for index, block in enumerate(blocks):
            yield from _ghost_bottleneck(f"blocks.{stage}.{index}", block)
    last = f"blocks.{len(encoder.stages)}.0"
    yield from name_layers(encoder.last, f"{last}.conv", f"{last}.bn1")
    yield from name_layers(encoder.head, "conv_head")


def _ghost_bottleneck(prefix: str, block: GhostBottleneck) -> NamedLayers:
    yield from _ghost_module(f"{prefix}.ghost1", block.expand)
    if block.depthwise is not None:
        yield from name_layers(block.depthwise, f"{prefix}.conv_dw", f"{prefix}.bn_dw")
    if block.squeeze_excite is not None:
        yield from name_layers(block.squeeze_excite, f"{prefix}.se.conv_reduce", f"{prefix}.se.conv_expand")
    yield from _ghost_module(f"{prefix}.ghost2", block.project)
    for index, part in enumerate(block.shortcut):
        yield from name_layers(part, f"{prefix}.shortcut.{2 * index}", f"{prefix}.shortcut.{2 * index + 1}")


def _ghost_module(prefix: str, module: GhostModule) -> NamedLayers:
    for name, part in (("primary_conv", module.primary), ("cheap_operation", module.cheap)):
        yield from name_layers(part, f"{prefix}.{name}.0", f"{prefix}.{name}.1")


# The first two are of weights trained with timm, the others of those converted from TensorFlow, `tf_...`.
RECIPES = (
    Recipe("torchvision", 1e-5),
    Recipe("tensorflow_symmetric", 1e-5),
    Recipe("tensorflow", 1e-3),
    Recipe("torchvision_same", 1e-3),
)
DESCENDANTS = (EfficientNetB0, EfficientNetES, MixNetM, MixNetS, MNasNet, MobileNetV2, MobileNetV3Large)
TIMM = Publisher(
    "timm",
    {
        **dict.fromkeys(DESCENDANTS, Rule(inverted_residuals, RECIPES)),
        GhostNet: Rule(ghostnet, RECIPES[:1]),
        MobileNetV1: Rule(mobilenet_v1, RECIPES[1:2]),
        ResNet50: Rule(resnet50, RECIPES[:1]),
    },
    left_out=("classifier.", "fc."),
    suffixes=(".safetensors", ".pth", ".pt"),
)
