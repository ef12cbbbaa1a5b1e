"""Names of layers in the files of other projects: `named_layers()` of every encoder is made of these."""

from collections.abc import Iterator

from flax import nnx

from mdepth_jax.models.blocks import BiasedHead, SqueezeExcite
from mdepth_jax.models.layers import ConvNorm, MixedConv


def squeeze_excite_layers(prefix: str, layer: SqueezeExcite) -> Iterator[tuple[str, nnx.Module]]:
    """The two convolutions under timm's names."""
    yield f"{prefix}.conv_reduce", layer.reduce
    yield f"{prefix}.conv_expand", layer.expand


def conv_norm_layers(conv_name: str, norm_name: str, layer: ConvNorm | BiasedHead) -> Iterator[tuple[str, nnx.Module]]:
    """Convolution and normalisation, if any; the parts of a mixed convolution are numbered."""
    if isinstance(layer.conv, MixedConv):
        yield from ((f"{conv_name}.{index}", part) for index, part in enumerate(layer.conv.parts))
    else:
        yield conv_name, layer.conv
    if isinstance(layer, ConvNorm):
        yield norm_name, layer.norm
