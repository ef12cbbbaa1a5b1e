"""From channels to keep to a narrower network: as zeros in the whole network, and cut out.

Both compute the same. In the whole network the removed channels have zero filters, normalisation and readers; with
activations that are zero at zero, as all of ours are, so are their gradients, and training leaves them zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float

from mdepth_jax.models.weights import named_tensors
from mdepth_jax.pruning.channels import OUTPUT, Group, Slot, Structure

Stays = Bool[np.ndarray, "_"]  # of every channel of a group
Kept = Sequence[Stays]  # of every group of a structure
Model = TypeVar("Model", bound=nnx.Module)


def keep_all(structure: Structure) -> list[Stays]:
    """Keeps every channel of every group."""
    return [np.ones(group.channels, bool) for group in structure.groups]


def keep_first(structure: Structure, width: int) -> list[Stays]:
    """Keeps as many channels of every group; all where it has less."""
    return [np.arange(group.channels) < width for group in structure.groups]


def importance(group: Group, tensors: Mapping[str, Any]) -> Float[np.ndarray, "_"]:
    """The sum of squared weights of the filters that make each channel.

    Args:
        group: Of channels.
        tensors: At least the kernels of `group.filters`, by path.
    """
    total = np.zeros(group.channels)
    for name in group.filters:
        squares = np.square(np.asarray(tensors[name], np.float64)).sum((0, 1, 2))
        total += squares[group.positions[Slot(name, OUTPUT)]].sum(1)
    return total


def strongest(group: Group, tensors: Mapping[str, Any], kept: Stays, width: int) -> Stays:
    """Keeps the `width` most important of the channels that are kept so far; of equal ones the first."""
    ranked = np.argsort(np.where(kept, -importance(group, tensors), np.inf), kind="stable")
    chosen = np.zeros_like(kept)
    chosen[ranked[:width]] = True
    return chosen


def _axes(structure: Structure, kept: Kept) -> dict[str, dict[int, np.ndarray]]:
    """Which indices stay on every axis from which some are removed, by variable."""
    axes: dict[str, dict[int, np.ndarray]] = {}
    for group, stays in zip(structure.groups, kept, strict=True):
        if stays.all():
            continue
        for (name, axis), positions in group.positions.items():
            whole = np.ones(structure.shapes[name][axis], bool)
            axes.setdefault(name, {}).setdefault(axis, whole)[positions[~stays]] = False
    return axes


def shapes_of(structure: Structure, kept: Kept) -> dict[str, tuple[int, ...]]:
    """Gives the shape of every variable of the cut network."""
    shapes = dict(structure.shapes)
    for name, axes in _axes(structure, kept).items():
        shapes[name] = tuple(int(axes[axis].sum()) if axis in axes else n for axis, n in enumerate(shapes[name]))
    return shapes


def masks(structure: Structure, kept: Kept) -> dict[str, Bool[np.ndarray, "..."]]:
    """Gives, for every variable of the whole network, which of its entries the cut network has."""
    found = {name: np.ones(shape, bool) for name, shape in structure.shapes.items()}
    for name, axes in _axes(structure, kept).items():
        for axis, stays in axes.items():
            found[name] &= np.expand_dims(stays, [other for other in range(found[name].ndim) if other != axis])
    return found


def cut(model: Model, structure: Structure, kept: Kept) -> Model:
    """Gives a copy of a network that has the kept channels alone, in their order.

    Args:
        model: The whole network; its arrays are shared where nothing is removed.
        structure: Of that network.
        kept: Of every group; at least one channel each.
    """
    smaller = nnx.clone(model)
    variables = named_tensors(smaller)
    for name, axes in _axes(structure, kept).items():
        value = np.asarray(variables[name][...])
        for axis, stays in axes.items():
            value = value.compress(stays, axis)
        variables[name].set_value(jnp.asarray(value))
    return smaller
