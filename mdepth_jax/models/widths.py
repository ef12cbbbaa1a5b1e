"""Widths of every convolution of a network, which pruning makes narrower, layer by layer."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models.layers import BatchNorm, Conv, ConvNorm, DepthwiseConv


class Widths(NamedTuple):
    """Numbers of channels of one convolution.

    Attributes:
        input: Number of input channels.
        output: Number of output channels.
    """

    input: int
    output: int


def convolutions(model: nnx.Module) -> Iterator[tuple[str, Conv | DepthwiseConv]]:
    """Yields every convolution of a network with its path."""
    for path, module in nnx.iter_modules(model):
        if isinstance(module, Conv | DepthwiseConv):
            yield ".".join(map(str, path)), module


def read_widths(model: nnx.Module) -> dict[str, Widths]:
    """Returns the widths of every convolution by its path."""
    return {path: Widths(layer.in_channels, layer.out_channels) for path, layer in convolutions(model)}


def describe(model: nnx.Module) -> tuple[str, ...]:
    """Lists the widths of every convolution as `config.model.widths` holds them: `"path input output"`."""
    return tuple(f"{path} {widths.input} {widths.output}" for path, widths in read_widths(model).items())


def narrow(model: nnx.Module, description: Sequence[str]) -> None:
    """Narrows convolutions in place; each keeps its first channels, and its normalization follows.

    Args:
        model: Network; may be abstract, see `nnx.eval_shape`.
        description: Widths as `describe` lists them; layers that are not listed keep theirs.

    Raises:
        UserError: If an entry is malformed, names no layer, or is wider than the layer.
    """
    layers = dict(convolutions(model))
    for entry in description:
        path, widths = _parse(entry)
        if path not in layers:
            raise UserError(f"`config.model.widths`: the network has no convolution {path!r}")
        layer = layers[path]
        if not (1 <= widths.input <= layer.in_channels and 1 <= widths.output <= layer.out_channels):
            raise UserError(
                f"`config.model.widths`: {entry!r} does not fit into the {layer.in_channels} x {layer.out_channels} "
                "channels of that layer"
            )
        inputs = 1 if isinstance(layer, DepthwiseConv) else widths.input
        layer.kernel.set_value(layer.kernel[...][:, :, :inputs, : widths.output])
        _narrow(getattr(layer, "bias", None), widths.output)
    for _, module in nnx.iter_modules(model):
        if isinstance(module, ConvNorm):
            _narrow_norm(module.norm, module.conv.out_channels)


def _parse(entry: str) -> tuple[str, Widths]:
    try:
        path, *numbers = entry.split()
        return path, Widths(*map(int, numbers))
    except (ValueError, TypeError):
        raise UserError(f"`config.model.widths`: {entry!r} is not of the form 'path input output'") from None


def _narrow_norm(norm: BatchNorm, channels: int) -> None:
    for variable in (norm.scale, norm.bias, norm.mean, norm.var):
        _narrow(variable, channels)


def _narrow(variable: Any, channels: int) -> None:
    if variable is not None and variable.shape[0] != channels:
        variable.set_value(variable[...][:channels])
