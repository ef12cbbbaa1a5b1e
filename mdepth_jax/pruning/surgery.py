"""Removal of channels: as zeros in the full network, and as a narrower network.

Both compute the same. In the full network the removed channels have zero filters, normalization and consumers; with
activations that are zero at zero, as all of ours are, so are their gradients, and training leaves them at zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float

from mdepth_jax.models.weights import named_tensors
from mdepth_jax.pruning.channels import OUTPUT, Group, Slot, Structure

ChannelMask = Bool[np.ndarray, "_"]
Kept = Sequence[ChannelMask]  # for each group of a structure, which of its channels are kept
Model = TypeVar("Model", bound=nnx.Module)


def keep_all(structure: Structure) -> list[ChannelMask]:
    """Returns masks that keep every channel."""
    return [np.ones(group.channels, bool) for group in structure.groups]


def keep_first(structure: Structure, width: int) -> list[ChannelMask]:
    """Returns masks that keep the first `width` channels of every group; all channels of a group with fewer."""
    return [np.arange(group.channels) < width for group in structure.groups]


def importance(group: Group, tensors: Mapping[str, Any]) -> Float[np.ndarray, "_"]:
    """Computes the importance of each channel: the sum of squared weights of its filters (NetAdapt, Sec. 3.3).

    Args:
        group: Group of channels.
        tensors: Variables by path; at least the kernels `group.filters`.
    """
    total = np.zeros(group.channels)
    for name in group.filters:
        squares = np.square(np.asarray(tensors[name], np.float64)).sum((0, 1, 2))
        total += squares[group.positions[Slot(name, OUTPUT)]].sum(1)
    return total


def keep_most_important(group: Group, tensors: Mapping[str, Any], kept: ChannelMask, width: int) -> ChannelMask:
    """Keeps the `width` most important of the channels that `kept` keeps; among equals, the first ones."""
    order = np.argsort(np.where(kept, -importance(group, tensors), np.inf), kind="stable")
    mask = np.zeros_like(kept)
    mask[order[:width]] = True
    return mask


def _find_indices(structure: Structure, kept: Kept) -> dict[str, dict[int, np.ndarray]]:
    """Finds which indices are kept along every axis from which some are removed, by variable."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for group, mask in zip(structure.groups, kept, strict=True):
        if mask.all():
            continue
        for (name, axis), positions in group.positions.items():
            everything = np.ones(structure.shapes[name][axis], bool)
            found.setdefault(name, {}).setdefault(axis, everything)[positions[~mask]] = False
    return found


def pruned_shapes(structure: Structure, kept: Kept) -> dict[str, tuple[int, ...]]:
    """Computes the shape of every variable of the narrower network."""
    shapes = dict(structure.shapes)
    for name, axes in _find_indices(structure, kept).items():
        shapes[name] = tuple(int(axes[axis].sum()) if axis in axes else n for axis, n in enumerate(shapes[name]))
    return shapes


def variable_masks(structure: Structure, kept: Kept) -> dict[str, Bool[np.ndarray, "..."]]:
    """Computes for every variable of the full network which of its entries the narrower network has."""
    masks = {name: np.ones(shape, bool) for name, shape in structure.shapes.items()}
    for name, axes in _find_indices(structure, kept).items():
        for axis, mask in axes.items():
            masks[name] &= np.expand_dims(mask, [other for other in range(masks[name].ndim) if other != axis])
    return masks


def remove_channels(model: Model, structure: Structure, kept: Kept) -> Model:
    """Creates a copy of a network with only the channels that are kept, in their order.

    Args:
        model: Full network; its arrays are shared where nothing is removed.
        structure: Structure of that network.
        kept: Channels of every group that are kept; at least one channel each.
    """
    smaller = nnx.clone(model)
    variables = named_tensors(smaller)
    for name, axes in _find_indices(structure, kept).items():
        value = np.asarray(variables[name][...])
        for axis, mask in axes.items():
            value = value.compress(mask, axis)
        variables[name].set_value(jnp.asarray(value))
    return smaller
