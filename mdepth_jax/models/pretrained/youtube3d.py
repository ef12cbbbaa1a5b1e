"""Names of the tensors of EncDecResNet, which the YouTube3D project publishes (Chen et al. 2019).

It is the teacher of the paper (Sec. 3.3).
"""

from mdepth_jax.models.decoders.redweb import FeatureFusion, ReDWebDecoder, ResidualConv
from mdepth_jax.models.depth_net import DepthNet
from mdepth_jax.models.pretrained.naming import NamedLayers, name_layers
from mdepth_jax.models.pretrained.torchvision import resnet50


def encdecresnet(model: DepthNet) -> NamedLayers:
    """Names the layers of a depth network with the encoder `ResNet50` and the decoder `ReDWebDecoder`."""
    yield from ((f"resnet_model.{name}", layer) for name, layer in resnet50(model.encoder))
    yield from redweb(model.decoder)


def redweb(decoder: ReDWebDecoder) -> NamedLayers:
    """Names the layers of the decoder; fusions are numbered from the finest to the coarsest."""
    for number, fusion in zip((3, 2, 1), decoder.fusions, strict=True):
        yield from feature_fusion(fusion, f"feafu{number}")
    yield from name_layers(decoder.smooth, "ada_out.conv1", "ada_out.bn1")
    yield "ada_out.conv2", decoder.predict


def feature_fusion(fusion: FeatureFusion, prefix: str) -> NamedLayers:
    """Names the layers of one fusion, each with `prefix` in front."""
    yield from name_layers(fusion.from_skip, f"{prefix}.conv_trans_left", f"{prefix}.bn_trans_left")
    yield from residual_conv(fusion.skip_residual, f"{prefix}.resConv_left")
    yield from name_layers(fusion.from_deep, f"{prefix}.conv_trans_up", f"{prefix}.bn_trans_up")
    yield from residual_conv(fusion.residual, f"{prefix}.resConv_down")


def residual_conv(block: ResidualConv, prefix: str) -> NamedLayers:
    """Names the layers of one residual block, each with `prefix` in front."""
    yield from name_layers(block.first, f"{prefix}.conv1", f"{prefix}.bn1")
    yield from name_layers(block.second, f"{prefix}.conv2", f"{prefix}.bn2")
