"""Naming rules: the names under which other projects publish the tensors of our layers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flax import nnx

from mdepth_jax.models.blocks import BiasedHead, SqueezeExcite
from mdepth_jax.models.layers import BatchNorm, ConvNorm, MixedConv

NamedLayers = Iterator[tuple[str, nnx.Module]]


class Endings(NamedTuple):
    """Last parts of the names of tensors, each with the attribute of our layer that it stands for.

    Attributes:
        conv: Attributes of convolutions by ending.
        norm: Attributes of batch normalizations by ending.
    """

    conv: Mapping[str, str]
    norm: Mapping[str, str]


PYTORCH = Endings(
    {".weight": "kernel", ".bias": "bias"},
    {".weight": "scale", ".bias": "bias", ".running_mean": "mean", ".running_var": "var"},
)


class Recipe(NamedTuple):
    """Settings that weights were trained with and need at inference.

    Attributes:
        preprocessing: Scaling of the image and padding, a key of `PREPROCESSING`.
        norm_epsilon: Epsilon of the batch normalization.
    """

    preprocessing: str
    norm_epsilon: float


class Rule(NamedTuple):
    """Names and recipes of one encoder.

    Attributes:
        layers: Function that yields every convolution and normalization of the encoder with its published name.
        recipes: Recipes that its published weights come with.
    """

    layers: Callable[[Any], NamedLayers]
    recipes: tuple[Recipe, ...]


class Publisher(NamedTuple):
    """A project that publishes weights.

    Attributes:
        name: Name in messages.
        rules: Rules by class of encoder.
        left_out: Prefixes of the tensors that have no place in an encoder: classifiers.
        suffixes: Suffixes of the files that the project publishes itself; other files may have been trained with any
            recipe.
        endings: Endings of the names of its tensors.
    """

    name: str
    rules: Mapping[type, Rule]
    left_out: tuple[str, ...]
    suffixes: tuple[str, ...]
    endings: Endings = PYTORCH

    def variables(self, encoder: Any) -> dict[str, nnx.Variable]:
        """Returns the variables of an encoder by the names of this project's tensors."""
        return named_variables(self.rules[type(encoder)].layers(encoder), self.endings)


def named_variables(
    named_layers: Iterable[tuple[str, nnx.Module]], endings: Endings = PYTORCH
) -> dict[str, nnx.Variable]:
    """Returns the variables of layers by the names of their tensors.

    Args:
        named_layers: Layers with their published names.
        endings: Endings that the names of tensors add to those of layers.
    """
    return {
        layer_name + ending: getattr(layer, attribute)
        for layer_name, layer in named_layers
        for ending, attribute in (endings.norm if isinstance(layer, BatchNorm) else endings.conv).items()
        if getattr(layer, attribute, None) is not None
    }


def name_layers(part: ConvNorm | BiasedHead | SqueezeExcite, first: str, second: str = "") -> NamedLayers:
    """Yields the two layers of a part of a network with their names.

    Args:
        part: Convolution and normalization, if any, or the two convolutions of a squeeze-excite layer.
        first: Name of the first layer; the parts of a mixed convolution get a number after it.
        second: Name of the second layer.
    """
    if isinstance(part, SqueezeExcite):
        yield first, part.reduce
        yield second, part.expand
        return
    if isinstance(part.conv, MixedConv):
        yield from ((f"{first}.{index}", conv) for index, conv in enumerate(part.conv.parts))
    else:
        yield first, part.conv
    if isinstance(part, ConvNorm):
        yield second, part.norm


def block_parts(block: nnx.Module) -> dict[str, Any]:
    """Returns the parts that an inverted or fused residual block has, in order, by attribute."""
    parts = {key: getattr(block, key, None) for key in ("expand", "depthwise", "squeeze_excite", "project")}
    return {key: part for key, part in parts.items() if part is not None}
