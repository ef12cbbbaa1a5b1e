"""What a data source gives and what a batch holds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, NotRequired, Protocol, TypedDict, get_args, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

MapKey = Literal["depth", "teacher_depth"]
MAP_KEYS: tuple[MapKey, ...] = get_args(MapKey)


class Example(TypedDict):
    """One image with its labels, at the image's own size.

    Attributes:
        image: RGB, 0 to 255.
        points: 0-based pixels of `image`, as (A or B, y or x). K may be 0 (an unlabelled image).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        depth: Depth, larger = farther, in the unit of its source; NaN where unknown. Any size of the image's
            aspect.
        teacher_depth: A teacher's prediction for the image, as `depth`.
    """

    image: UInt8[np.ndarray, "height width 3"]
    points: Int32[np.ndarray, "pairs 2 2"]
    relation: Int32[np.ndarray, "pairs"]
    depth: NotRequired[Float32[np.ndarray, "depth_height depth_width"]]
    teacher_depth: NotRequired[Float32[np.ndarray, "teacher_height teacher_width"]]


class RawExample(TypedDict):
    """An example as it lies in the files: encoded images, b"" for a map that there is not."""

    name: str
    image: bytes
    points: Int32[np.ndarray, "pairs 2 2"]
    relation: Int32[np.ndarray, "pairs"]
    depth: bytes
    teacher_depth: bytes


@runtime_checkable
class Source(Protocol):
    """A data set: any sequence of examples with random access, each a pure function of its index."""

    @property
    def max_pairs(self) -> int:
        """The largest number of pairs of one example; batches are padded to it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


class Batch(TypedDict):
    """A batch on its way to the device; every array is NumPy, the first axis is the batch.

    Attributes:
        image: RGB, 0 to 255, at the network's input size.
        points: In training 0-based pixels of the network's input, in evaluation 0-based pixels of the
            ORIGINAL image, or of its middle part where the pipeline crops.
        relation: As in `Example`.
        valid: False for padding.
        image_size: (height, width) of the original image, or of its middle part, as for `points`.
        depth: As in `Example`, resized to the network's input size; NaN where unknown.
        teacher_depth: As in `Example`, resized to the network's input size; NaN where unknown.
    """

    image: UInt8[np.ndarray, "batch height width 3"]
    points: Int32[np.ndarray, "batch pairs 2 2"]
    relation: Int32[np.ndarray, "batch pairs"]
    valid: Bool[np.ndarray, "batch pairs"]
    image_size: Int32[np.ndarray, "batch 2"]
    depth: NotRequired[Float32[np.ndarray, "batch height width 1"]]
    teacher_depth: NotRequired[Float32[np.ndarray, "batch height width 1"]]


class Data(NamedTuple):
    """What a run reads; any iterators of NumPy batches will do.

    Attributes:
        train: From a step, gives the endless batches from that step on.
        evaluate: Gives every batch of the held-out set, once.
        steps_per_epoch: Length of an epoch.
        truths: Gives the true depth map of every row of those batches; None if depth is not evaluated.
    """

    train: Callable[[int], Iterator[Batch]]
    evaluate: Callable[[], Iterable[Batch]]
    steps_per_epoch: int
    truths: Callable[[], Iterator[Float32[np.ndarray, "height width"] | None]] | None = None


class Supervision(NamedTuple):
    """What there is to learn from.

    Attributes:
        pairs: Ordinal pairs.
        depth: Dense depth maps.
        teacher_depth: A teacher's depth, cached or live.
        teacher_features: A live teacher's features.
    """

    pairs: bool = True
    depth: bool = False
    teacher_depth: bool = False
    teacher_features: bool = False


@dataclass(frozen=True)
class WantedMaps:
    """Maps that a run reads next to its images.

    Attributes:
        depth: Whether it learns from depth maps or is evaluated on them.
        teacher_depth: Whether it learns from cached maps of a teacher.
    """

    depth: bool = False
    teacher_depth: bool = False
