"""Which channels of a network stand or fall together, read off its own program.

Every channel of every array bears a label. The labels of a convolution's output are those of its filters; whatever
works channel by channel passes labels on, a sum ties those of both sides, a concatenation joins them. Channels whose
labels are tied are one. An operation that is not known here, or that moves channels elsewhere (a shuffle), freezes the
channels that it reads: they are never pruned.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
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

CONSTANT, FROZEN = 0, 1  # labels of what is the same for any number of channels, and of what must stay
INPUT, OUTPUT = 2, 3  # axes of a kernel

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


class Group(NamedTuple):
    """Channels that lie on the same axes, any of which can be removed from all of them.

    Attributes:
        filters: Kernels whose filters make these channels, several where their outputs are added.
        positions: Indices of every channel on every axis that has it; more than one where a concatenation repeats it.
    """

    filters: tuple[str, ...]
    positions: Mapping[Slot, Int[np.ndarray, "channels copies"]]

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(next(iter(self.positions.values())))

    @property
    def name(self) -> str:
        """The first layer that makes them."""
        return self.filters[0].removesuffix(".kernel")


class Convolution(NamedTuple):
    """A convolution as the program has it.

    Attributes:
        kernel: Path of the variable, `[height, width, in, out]`.
        depthwise: Whether every channel has its own filter.
        upsampled: Whether what it reads is up-sampled first (nearest), in the same layer; see `layers.DepthwiseConv`.
        stride: Step along both axes.
        height: Of the output in pixels.
        width: Of the output in pixels.
    """

    kernel: str
    depthwise: bool
    upsampled: bool
    stride: int
    height: int
    width: int


class Structure(NamedTuple):
    """What pruning has to know of a network.

    Attributes:
        groups: Of channels, in the order of the program.
        convolutions: In the order of the program.
        shapes: Of all variables by path.
        parameters: Paths of the trainable ones.
    """

    groups: tuple[Group, ...]
    convolutions: tuple[Convolution, ...]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: frozenset[str]


def find_structure(model: nnx.Module, height: int, width: int) -> Structure:
    """Finds the channel groups of a network.

    Args:
        model: Takes images `[batch, height, width, 3]`; may be abstract, see `nnx.eval_shape`. The channels of its
            first output (depth) are never pruned.
        height: Of the image in pixels.
        width: Of the image in pixels.
    """
    program = trace_program(model, jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32))
    variables = {".".join(map(str, path)): variable for path, variable in nnx.state(model).flat_state()}
    upsampled = [f"{path}.kernel" for path, layer in convolutions(model) if getattr(layer, "upsample", False)]
    follower = _Follower({name: variable.shape for name, variable in variables.items()}, upsampled)
    follower.run(program)
    return Structure(
        tuple(sorted(follower.groups(), key=lambda group: follower.order(group.filters[0]))),
        tuple(follower.convolutions),
        follower.shapes,
        frozenset(name for name, variable in variables.items() if isinstance(variable, nnx.Param)),
    )


class _Follower:
    """Follows labels through a program.

    Args:
        shapes: Of the variables, in the order of the program's inputs.
        upsampled: Kernels of layers that up-sample.
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

    def run(self, program: Any) -> None:
        """Follows the labels of a whole network; the image and the first output are frozen."""
        self.kernels = dict(zip(program.invars, self.shapes, strict=False))
        inputs = [self.slots[Slot(name, len(shape) - 1)] for name, shape in self.shapes.items()]
        outputs = self._follow(program, [*inputs, np.full(3, FROZEN)])
        self._freeze(outputs[0])

    def groups(self) -> Iterator[Group]:
        """Sorts the labels that are tied into groups."""
        ties = np.concatenate(self.ties)
        matrix = coo_array((np.ones(len(ties), bool), tuple(ties.T)), shape=(self.count, self.count))
        _, component = connected_components(matrix, directed=False)
        places: dict[int, list[tuple[Slot, int]]] = {}
        for slot, labels in self.slots.items():
            for position, channel in enumerate(component[labels]):
                places.setdefault(channel, []).append((slot, position))
        del places[component[FROZEN]]
        families: dict[tuple[Slot, ...], list[list[int]]] = {}
        for members in places.values():
            families.setdefault(tuple(slot for slot, _ in members), []).append([at for _, at in members])
        for slots, rows in families.items():
            made_by = {slot.variable for slot in slots if slot.axis == OUTPUT and slot.variable in self.dense}
            filters = tuple(sorted(made_by, key=self.order))
            if filters:
                columns = {slot: [i for i, other in enumerate(slots) if other == slot] for slot in slots}
                table = np.array(sorted(rows, key=lambda row: row[columns[Slot(filters[0], OUTPUT)][0]]))
                yield Group(filters, {slot: table[:, chosen] for slot, chosen in columns.items()})

    def order(self, kernel: str) -> int:
        """Gives the place of a kernel's convolution in the program."""
        return next(place for place, conv in enumerate(self.convolutions) if conv.kernel == kernel)

    def _follow(self, program: Any, inputs: Sequence[Labels]) -> list[Labels]:
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
                outputs = self._follow(inner[0], arguments)
            elif not any(labels.any() for labels in arguments):
                outputs = [np.full(_channels(out), CONSTANT) for out in equation.outvars]
            else:
                outputs = self._pass_on(equation, arguments) or self._stop(equation, arguments)
            known |= zip(equation.outvars, outputs, strict=True)
        return [read(atom) for atom in program.outvars]

    def _convolve(self, equation: Any, x: Labels, filters: Labels) -> Labels:
        name = self.kernels.get(equation.invars[1])
        groups = equation.params["feature_group_count"]
        depthwise = groups == len(x) == len(filters) and groups > 1
        if name is None or (groups > 1 and not depthwise):
            return self._stop(equation, [x, filters])[0]
        _, height, width, _ = equation.outvars[0].aval.shape
        stride, upsampled = equation.params["window_strides"][0], name in self.upsampled
        self.convolutions.append(Convolution(name, depthwise, upsampled, stride, height, width))
        if depthwise:
            return self._tie(x, filters)
        self.dense.add(name)
        self._tie(x, self.slots[Slot(name, INPUT)])
        return filters

    def _pass_on(self, equation: Any, arguments: Sequence[Labels]) -> list[Labels] | None:
        """The labels that an operation gives; None if it does not keep channels apart and in order."""
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
        """Makes channels at the same place one."""
        merged = arrays[0]
        for other in arrays[1:]:
            self.ties.append(np.stack([merged, other], axis=1)[(merged != CONSTANT) & (other != CONSTANT)])
            merged = np.where(merged == CONSTANT, other, merged)
        return merged

    def _freeze(self, labels: Labels) -> None:
        self._tie(labels, np.full(len(labels), FROZEN))

    def _stop(self, equation: Any, arguments: Sequence[Labels]) -> list[Labels]:
        for labels in arguments:
            self._freeze(labels)
        return [np.full(_channels(out), FROZEN) for out in equation.outvars]


def _channels(atom: Any) -> int:
    shape = atom.aval.shape
    return shape[-1] if shape else 1
