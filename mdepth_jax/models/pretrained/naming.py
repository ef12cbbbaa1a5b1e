"""What the tables in `sources` are made of: names that other projects give to our layers and tensors."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flax import nnx

from mdepth_jax.models.blocks import BiasedHead, SqueezeExcite
from mdepth_jax.models.layers import BatchNorm, ConvNorm, MixedConv

NamedLayers = Iterator[tuple[str, nnx.Module]]


class Endings(NamedTuple):
    """How the name of a tensor goes on after that of its layer: our attribute by ending."""

    conv: Mapping[str, str]
    norm: Mapping[str, str]


PYTORCH = Endings(
    {".weight": "kernel", ".bias": "bias"},
    {".weight": "scale", ".bias": "bias", ".running_mean": "mean", ".running_var": "var"},
)


class Recipe(NamedTuple):
    """What weights were trained with and need at use.

    Attributes:
        preprocessing: A key of `PREPROCESSING`, the scaling of the image and the padding.
        norm_epsilon: Of the batch normalization.
    """

    preprocessing: str
    norm_epsilon: float


class Rule(NamedTuple):
    """What a project publishes of one encoder.

    Attributes:
        layers: Gives every convolution and normalization of the encoder under its published name.
        recipes: That its weights come with.
    """

    layers: Callable[[Any], NamedLayers]
    recipes: tuple[Recipe, ...]


class Source(NamedTuple):
    """A project that publishes weights.

    Attributes:
        name: For messages.
        rules: By class of encoder.
        left_out: Beginnings of the names of tensors that have no place in an encoder: classifiers.
        suffixes: Of the files that the project publishes itself; those of others may have been trained with anything.
        endings: Of its tensors' names.
    """

    name: str
    rules: Mapping[type, Rule]
    left_out: tuple[str, ...]
    suffixes: tuple[str, ...]
    endings: Endings = PYTORCH

    def variables(self, encoder: Any) -> dict[str, nnx.Variable]:
        """The variables of an encoder under the names of this project's tensors."""
        return named_variables(self.rules[type(encoder)].layers(encoder), self.endings)


def named_variables(
    named_layers: Iterable[tuple[str, nnx.Module]], endings: Endings = PYTORCH
) -> dict[str, nnx.Variable]:
    """The variables of layers under the names of tensors."""
    return {
        layer_name + ending: getattr(layer, attribute)
        for layer_name, layer in named_layers
        for ending, attribute in (endings.norm if isinstance(layer, BatchNorm) else endings.conv).items()
        if getattr(layer, attribute, None) is not None
    }


def name_layers(part: ConvNorm | BiasedHead | SqueezeExcite, first: str, second: str = "") -> NamedLayers:
    """Names the two layers of a part of a network.

    Args:
        part: Convolution and normalization, if any, or the two convolutions of a squeeze-excite layer.
        first: Name of the first; the parts of a mixed convolution are numbered behind it.
        second: Name of the second.
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
    """The parts that an inverted or fused residual block has, in order, by attribute."""
    parts = {key: getattr(block, key, None) for key in ("expand", "depthwise", "squeeze_excite", "project")}
    return {key: part for key, part in parts.items() if part is not None}
