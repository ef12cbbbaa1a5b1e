"""Groups of channels that can only be removed together, found in the program of a network.

Every channel of every array has a label. The output of a convolution has the labels of its filters; an operation that
works channel by channel passes labels on, a sum ties those of both sides, a concatenation joins them. Channels whose
labels are tied are one. An operation that is not known here, or that moves channels elsewhere (a shuffle), freezes the
channels that it reads: they are never pruned.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import Literal
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mdepth_jax.models.complexity import inner_programs, trace_program
from mdepth_jax.models.widths import convolutions

Labels = Int[np.ndarray, "_"]

CONSTANT, FROZEN = 0, 1  # labels of values that do not depend on the channels, and of channels that must stay
INPUT, OUTPUT = 2, 3  # axes of channels in a kernel

ELEMENTWISE = frozenset(
    (
        "abs", "add", "and", "convert_element_type", "copy", "div", "exp", "ge", "gt", "integer_pow", "le", "logistic",
        "lt", "max", "min", "mul", "ne", "neg", "or", "rsqrt", "select_n", "sqrt", "square", "sub", "tanh",
    )
)  # fmt: skip


class Slot(NamedTuple):
    """An axis of a variable along which channels lie."""

    variable: str
    axis: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Channels that lie on the same axes, any of which can be removed from all of them.

    Attributes:
        filters: Kernels whose filters produce these channels; several where their outputs are added.
        positions: Indices of every channel on every axis that has it; more than one where a concatenation repeats it.
    """

    filters: tuple[str, ...]
    positions: Mapping[Slot, Int[np.ndarray, "channels copies"]]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(next(iter(self.positions.values())))

    @property
    def name(self) -> str:
        """Path of the first layer that produces the channels."""
        return self.filters[0].removesuffix(".kernel")


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution in the program of a network.

    Attributes:
        kernel: Path of the kernel `[height, width, in, out]`.
        depthwise: Whether every channel has its own filter.
        upsampled: Whether the layer up-samples its input first (nearest), see `layers.DepthwiseConv`.
        stride: Stride along both axes.
        height: Height of the output in pixels.
        width: Width of the output in pixels.
    """

    kernel: str
    depthwise: bool
    upsampled: bool
    stride: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The parts of a network that pruning changes.

    Attributes:
        groups: Groups of channels in the order of the program.
        convolutions: Convolutions in the order of the program.
        shapes: Shapes of all variables by path.
        parameters: Paths of the trainable variables.
    """

    groups: tuple[Group, ...]
    convolutions: tuple[Convolution, ...]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: frozenset[str]


def find_structure(model: nnx.Module, height: int, width: int) -> Structure:
    """Finds the groups of channels of a network.

    Args:
        model: Network for images `[batch, height, width, 3]`; may be abstract, see `nnx.eval_shape`. The channels of
            its first output (depth) are never pruned.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    program = trace_program(model, jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32))
    variables = {".".join(map(str, path)): variable for path, variable in nnx.state(model).flat_state()}
    upsampled = [f"{path}.kernel" for path, layer in convolutions(model) if getattr(layer, "upsample", False)]
    labels = _LabelPropagation({name: variable.shape for name, variable in variables.items()}, upsampled)
    labels.propagate(program)
    return Structure(
        groups=tuple(sorted(labels.groups(), key=lambda group: labels.order(group.filters[0]))),
        convolutions=tuple(labels.convolutions),
        shapes=labels.shapes,
        parameters=frozenset(name for name, variable in variables.items() if isinstance(variable, nnx.Param)),
    )


class _LabelPropagation:
    """Propagation of the labels of channels through a program.

    Args:
        shapes: Shapes of the variables by path, in the order of the program's inputs.
        upsampled: Paths of the kernels of layers that up-sample.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], upsampled: Collection[str]) -> None:
        self.shapes, self.upsampled = shapes, upsampled
        self.count = FROZEN + 1
        self.ties: list[np.ndarray] = [np.zeros((0, 2), int)]
        self.slots: dict[Slot, Labels] = {}
        for name, shape in shapes.items():
            for axis in (INPUT, OUTPUT) if len(shape) == 4 else (len(shape) - 1,):
                self.slots[Slot(name, axis)] = np.arange(self.count, self.count + shape[axis])
                self.count += shape[axis]
        self.kernels: dict[Any, str] = {}
        self.dense: set[str] = set()
        self.convolutions: list[Convolution] = []

    def propagate(self, program: Any) -> None:
        """Propagates the labels through a network; the image and the first output are frozen."""
        self.kernels = dict(zip(program.invars, self.shapes, strict=False))
        inputs = [self.slots[Slot(name, len(shape) - 1)] for name, shape in self.shapes.items()]
        outputs = self._run(program, [*inputs, np.full(3, FROZEN)])
        self._freeze(outputs[0])

    def groups(self) -> Iterator[Group]:
        """Yields the groups of channels whose labels are tied."""
        ties = np.concatenate(self.ties)
        matrix = coo_array((np.ones(len(ties), bool), tuple(ties.T)), shape=(self.count, self.count))
        _, component = connected_components(matrix, directed=False)
        members_of: dict[int, list[tuple[Slot, int]]] = {}
        for slot, labels in self.slots.items():
            for position, channel in enumerate(component[labels]):
                members_of.setdefault(channel, []).append((slot, position))
        del members_of[component[FROZEN]]
        families: dict[tuple[Slot, ...], list[list[int]]] = {}
        for members in members_of.values():
            families.setdefault(tuple(slot for slot, _ in members), []).append([position for _, position in members])
        for slots, rows in families.items():
            kernels = {slot.variable for slot in slots if slot.axis == OUTPUT and slot.variable in self.dense}
            filters = tuple(sorted(kernels, key=self.order))
            if filters:
                columns = {slot: [i for i, other in enumerate(slots) if other == slot] for slot in slots}
                table = np.array(sorted(rows, key=lambda row: row[columns[Slot(filters[0], OUTPUT)][0]]))
                yield Group(filters=filters, positions={slot: table[:, chosen] for slot, chosen in columns.items()})

    def order(self, kernel: str) -> int:
        """Returns the index of a kernel's convolution in the program."""
        return next(index for index, conv in enumerate(self.convolutions) if conv.kernel == kernel)

    def _run(self, program: Any, inputs: Sequence[Labels]) -> list[Labels]:
        known = dict(zip(program.invars, inputs, strict=True))

        def read(atom: Any) -> Labels:
            constant = isinstance(atom, Literal) or atom not in known
            return np.full(_channels(atom), CONSTANT) if constant else known[atom]

        for equation in program.eqns:
            arguments = [read(atom) for atom in equation.invars]
            inner, name = inner_programs(equation), equation.primitive.name
            if name == "convert_element_type" and equation.invars[0] in self.kernels:
                self.kernels[equation.outvars[0]] = self.kernels[equation.invars[0]]
            if name == "conv_general_dilated":
                outputs = [self._convolve(equation, *arguments)]
            elif len(inner) == 1 and len(inner[0].invars) == len(arguments):
                outputs = self._run(inner[0], arguments)
            elif not any(labels.any() for labels in arguments):
                outputs = [np.full(_channels(out), CONSTANT) for out in equation.outvars]
            else:
                outputs = self._pass_on(equation, arguments) or self._freeze_outputs(equation, arguments)
            known |= zip(equation.outvars, outputs, strict=True)
        return [read(atom) for atom in program.outvars]

    def _convolve(self, equation: Any, x: Labels, filters: Labels) -> Labels:
        name = self.kernels.get(equation.invars[1])
        groups = equation.params["feature_group_count"]
        depthwise = groups == len(x) == len(filters) and groups > 1
        if name is None or (groups > 1 and not depthwise):
            return self._freeze_outputs(equation, [x, filters])[0]
        _, height, width, _ = equation.outvars[0].aval.shape
        self.convolutions.append(
            Convolution(
                kernel=name,
                depthwise=depthwise,
                upsampled=name in self.upsampled,
                stride=equation.params["window_strides"][0],
                height=height,
                width=width,
            )
        )
        if depthwise:
            return self._tie(x, filters)
        self.dense.add(name)
        self._tie(x, self.slots[Slot(name, INPUT)])
        return filters

    def _pass_on(self, equation: Any, arguments: Sequence[Labels]) -> list[Labels] | None:
        """Returns the labels of an operation's outputs; None if it does not keep channels separate and in order."""
        name, params, x = equation.primitive.name, equation.params, arguments[0]
        out, last = equation.outvars[0].aval.shape, equation.invars[0].aval.ndim - 1
        keeps = False
        match name:
            case _ if name in ELEMENTWISE:
                return [self._tie(*(np.broadcast_to(labels, _channels(equation.outvars[0])) for labels in arguments))]
            case "concatenate" if params["dimension"] == last:
                return [np.concatenate(arguments)]
            case "concatenate":
                return [self._tie(*arguments)]
            case "stack" if params["axis"] <= last:
                return [self._tie(*arguments)]
            case "split" if params["axis"] == last:
                return np.split(x, np.cumsum(params["sizes"])[:-1])
            case "slice":
                step = params["strides"][last] if params["strides"] else 1
                return [x[params["start_indices"][last] : params["limit_indices"][last] : step]]
            case "split":
                keeps = True
            case "broadcast_in_dim":
                keeps = params["broadcast_dimensions"][-1:] == (len(out) - 1,) and out[-1] == len(x)
            case "reshape":
                keeps = out[-1:] == (len(x),)
            case "squeeze":
                keeps = last not in params["dimensions"]
            case "transpose":
                keeps = params["permutation"][-1] == last
            case "pad":
                keeps = params["padding_config"][-1] == (0, 0, 0)
            case "reduce_sum" | "reduce_max":
                keeps = last not in params["axes"]
            case "reduce_window_max":
                keeps = params["window_dimensions"][last] == 1
            case "gather":
                whole = params["slice_sizes"][last] == len(x)
                keeps = whole and params["dimension_numbers"].offset_dims[-1:] == (len(out) - 1,)
        return [x] * len(equation.outvars) if keeps else None

    def _tie(self, *arrays: Labels) -> Labels:
        """Ties the channels at the same position."""
        merged = arrays[0]
        for other in arrays[1:]:
            self.ties.append(np.stack([merged, other], axis=1)[(merged != CONSTANT) & (other != CONSTANT)])
            merged = np.where(merged == CONSTANT, other, merged)
        return merged

    def _freeze(self, labels: Labels) -> None:
        self._tie(labels, np.full(len(labels), FROZEN))

    def _freeze_outputs(self, equation: Any, arguments: Sequence[Labels]) -> list[Labels]:
        for labels in arguments:
            self._freeze(labels)
        return [np.full(_channels(out), FROZEN) for out in equation.outvars]


def _channels(atom: Any) -> int:
    shape = atom.aval.shape
    return shape[-1] if shape else 1
