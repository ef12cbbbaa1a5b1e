"""Names of the tensors of torchvision."""

from mdepth_jax.models.blocks import SqueezeExcite
from mdepth_jax.models.encoders.efficientnet import EfficientNetB0
from mdepth_jax.models.encoders.inverted_residuals import Block
from mdepth_jax.models.encoders.mnasnet import MNasNet
from mdepth_jax.models.encoders.mobilenet_v2 import MobileNetV2
from mdepth_jax.models.encoders.mobilenet_v3 import MobileNetV3Large
from mdepth_jax.models.encoders.resnet import Bottleneck, ResNet50
from mdepth_jax.models.encoders.shufflenet_v2 import Branch, ShuffleNetV2
from mdepth_jax.models.layers import ConvNorm
from mdepth_jax.models.pretrained.naming import NamedLayers, Publisher, Recipe, Rule, block_parts, name_layers


def mobilenet_v2(encoder: MobileNetV2) -> NamedLayers:
    """Names the layers; blocks are numbered throughout, the linear last part of a block has no sequence of its own."""
    yield from name_layers(encoder.stem, "features.0.0", "features.0.1")
    for number, block in enumerate(encoder.blocks, start=1):
        prefix = f"features.{number}.conv"
        *parts, last = block_parts(block).values()
        for index, part in enumerate(parts):
            yield from name_layers(part, f"{prefix}.{index}.0", f"{prefix}.{index}.1")
        yield from name_layers(last, f"{prefix}.{len(parts)}", f"{prefix}.{len(parts) + 1}")
    number = len(encoder.blocks) + 1
    yield from name_layers(encoder.head, f"features.{number}.0", f"features.{number}.1")


def mobilenet_v3_large(encoder: MobileNetV3Large) -> NamedLayers:
    """Names the layers; blocks are numbered throughout, the head is the first layer of the classifier."""
    yield from name_layers(encoder.stem, "features.0.0", "features.0.1")
    for number, block in enumerate(encoder.blocks, start=1):
        yield from _block(f"features.{number}", block)
    yield from name_layers(encoder.head, "classifier.0")


def efficientnet_b0(encoder: EfficientNetB0) -> NamedLayers:
    """Names the layers; blocks are numbered stage by stage."""
    yield from name_layers(encoder.stem, "features.0.0", "features.0.1")
    for (stage, index), block in zip(encoder.positions(), encoder.blocks, strict=True):
        yield from _block(f"features.{stage + 1}.{index}", block)
    number = len(encoder.table.stages) + 1
    yield from name_layers(encoder.head, f"features.{number}.0", f"features.{number}.1")


def _block(prefix: str, block: Block) -> NamedLayers:
    if isinstance(block, ConvNorm):
        yield from name_layers(block, f"{prefix}.0", f"{prefix}.1")
        return
    for index, part in enumerate(block_parts(block).values()):
        first, second = ("fc1", "fc2") if isinstance(part, SqueezeExcite) else ("0", "1")
        yield from name_layers(part, f"{prefix}.block.{index}.{first}", f"{prefix}.block.{index}.{second}")


def mnasnet(encoder: MNasNet) -> NamedLayers:
    """Names the layers by their position in sequences that include the activations.

    The outermost sequence holds stem, first block, stages (from 8) and head.
    """
    yield from name_layers(encoder.stem, "layers.0", "layers.1")
    for (stage, index), block in zip(encoder.positions(), encoder.blocks, strict=True):
        prefix, start = (f"layers.{stage + 7}.{index}.layers", 0) if stage else ("layers", 3)
        for place, part in enumerate(block_parts(block).values()):
            yield from name_layers(part, f"{prefix}.{start + 3 * place}", f"{prefix}.{start + 3 * place + 1}")
    yield from name_layers(encoder.head, "layers.14", "layers.15")


def shufflenet_v2(encoder: ShuffleNetV2) -> NamedLayers:
    """Names the layers; stages are counted from 2, after the stem and the pooling."""
    yield from name_layers(encoder.stem, "conv1.0", "conv1.1")
    for number, stage in enumerate(encoder.stages, start=2):
        for index, unit in enumerate(stage):
            for name, branch in (("branch1", unit.first), ("branch2", unit.second)):
                if branch is not None:
                    yield from _branch(f"stage{number}.{index}.{name}", branch)
    yield from name_layers(encoder.head, "conv5.0", "conv5.1")


def _branch(prefix: str, branch: Branch) -> NamedLayers:
    """Names the layers by their position in a sequence that includes the activations."""
    place = 0
    for part in (branch.expand, branch.depthwise, branch.project):
        if part is not None:
            yield from name_layers(part, f"{prefix}.{place}", f"{prefix}.{place + 1}")
            place += 2 if part.activation is None else 3


def resnet50(encoder: ResNet50) -> NamedLayers:
    """Names the layers; stages are counted from 1."""
    yield from name_layers(encoder.stem, "conv1", "bn1")
    for number, stage in enumerate(encoder.stages, start=1):
        for index, block in enumerate(stage):
            yield from _bottleneck(f"layer{number}.{index}", block)


def _bottleneck(prefix: str, block: Bottleneck) -> NamedLayers:
    for number, part in enumerate((block.reduce, block.conv, block.expand), start=1):
        yield from name_layers(part, f"{prefix}.conv{number}", f"{prefix}.bn{number}")
    if block.shortcut is not None:
        yield from name_layers(block.shortcut, f"{prefix}.downsample.0", f"{prefix}.downsample.1")


RECIPES = (Recipe("torchvision", 1e-5),)
TORCHVISION = Publisher(
    "torchvision",
    {
        EfficientNetB0: Rule(efficientnet_b0, RECIPES),
        MNasNet: Rule(mnasnet, RECIPES),
        MobileNetV2: Rule(mobilenet_v2, RECIPES),
        MobileNetV3Large: Rule(mobilenet_v3_large, (Recipe("torchvision", 1e-3),)),
        ResNet50: Rule(resnet50, RECIPES),
        ShuffleNetV2: Rule(shufflenet_v2, RECIPES),
    },
    left_out=("classifier.1.", "classifier.3.", "fc."),
    suffixes=(".pth", ".pt"),
)
