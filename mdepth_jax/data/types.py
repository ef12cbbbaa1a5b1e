"""Types of data: examples, sources and batches."""

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
        image: RGB image, 0 to 255.
        points: 0-based pixels of `image`, as (A or B, y or x); none for an unlabeled image.
        relation: +1 if A is farther, -1 if A is nearer, 0 if both are equally far.
        depth: Depth, larger = farther, in the unit of its source; NaN where unknown. Any size with the image's
            aspect.
        teacher_depth: Prediction of a teacher in the same format.
        teacher_relative: Whether that map has a scale and a shift of its own: it has no unit, no zero and no logarithm.
    """

    image: UInt8[np.ndarray, "height width 3"]
    points: Int32[np.ndarray, "pairs 2 2"]
    relation: Int32[np.ndarray, "pairs"]
    depth: NotRequired[Float32[np.ndarray, "depth_height depth_width"]]
    teacher_depth: NotRequired[Float32[np.ndarray, "teacher_height teacher_width"]]
    teacher_relative: NotRequired[bool]


class RawExample(TypedDict):
    """An example with encoded images; b"" for a missing map."""

    name: str
    image: bytes
    points: Int32[np.ndarray, "pairs 2 2"]
    relation: Int32[np.ndarray, "pairs"]
    depth: bytes
    teacher_depth: bytes


@dataclass(frozen=True)
class DataSetInfo:
    """Identity and terms of use of a data set; whatever is unknown is empty.

    Attributes:
        key: Key of a published data set in `mdepth_jax.data.about.KNOWN_SETS`; empty for any other one.
        name: Name of the data set.
        terms: Terms of use in the publisher's words, shortened.
        reference: Page or file that states the terms.
    """

    key: str = ""
    name: str = ""
    terms: str = ""
    reference: str = ""


@runtime_checkable
class Source(Protocol):
    """A data set that is read: a sequence of examples with random access, each a pure function of its index.

    Attributes:
        info: Identity and terms of use of the data set, as its metadata state them.
        split: Name of the split that is read, or of a part of it; empty if it has none.
        teacher_meaning: Meaning of its cached teacher's maps, see `mdepth_jax.data.map_info`; empty if it states none.
    """

    info: DataSetInfo
    split: str
    teacher_meaning: str

    @property
    def max_pairs(self) -> int:
        """Returns the largest number of pairs of an example; batches are padded to it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


class Batch(TypedDict):
    """A batch of NumPy arrays, whose first axis is the batch.

    Attributes:
        image: RGB images, 0 to 255, at the network's input size.
        points: 0-based pixels, as (A or B, y or x): of the network's input in training; of the ORIGINAL image, or of
            its middle part if the pipeline crops, in evaluation.
        relation: +1 if A is farther, -1 if A is nearer, 0 if both are equally far.
        valid: False for padding.
        image_size: (height, width) of the original image, or of its middle part if the pipeline crops.
        depth: Depth maps resized to the network's input size; NaN where unknown.
        teacher_depth: Teacher's maps resized to the network's input size; NaN where unknown.
    """

    image: UInt8[np.ndarray, "batch height width 3"]
    points: Int32[np.ndarray, "batch pairs 2 2"]
    relation: Int32[np.ndarray, "batch pairs"]
    valid: Bool[np.ndarray, "batch pairs"]
    image_size: Int32[np.ndarray, "batch 2"]
    depth: NotRequired[Float32[np.ndarray, "batch height width 1"]]
    teacher_depth: NotRequired[Float32[np.ndarray, "batch height width 1"]]


class EvalSet(NamedTuple):
    """Images to evaluate on, as functions that open iterators.

    Attributes:
        batches: Function that iterates once over all batches.
        truths: Function that iterates over the true depth map of every row of those batches, None for a row without
            one; None if depth is not evaluated.
        depth_batches: Function that iterates over the images in the view of those maps; None if it is that of
            `batches`.
        info: Data set, named.
        split: Name of its split.
    """

    batches: Callable[[], Iterable[Batch]]
    truths: Callable[[], Iterator[Float32[np.ndarray, "height width"] | None]] | None = None
    depth_batches: Callable[[], Iterable[Batch]] | None = None
    info: DataSetInfo = DataSetInfo()
    split: str = ""


class Data(NamedTuple):
    """Data of a run.

    Attributes:
        train: Function from a step to the endless training batches from that step on.
        steps_per_epoch: Number of batches of an epoch.
        test: Test set, read once at the end of the run.
        val: Validation set, by which the run makes its choices; None if it makes none.
        train_sets: Data sets of the training set, each named.
    """

    train: Callable[[int], Iterator[Batch]]
    steps_per_epoch: int
    test: EvalSet
    val: EvalSet | None = None
    train_sets: tuple[DataSetInfo, ...] = ()


class Supervision(NamedTuple):
    """Kinds of labels that the data of a run has.

    Attributes:
        pairs: Whether there are ordinal pairs.
        depth: Whether there are dense depth maps.
        teacher_depth: Whether there is a teacher's depth, cached or live.
        teacher_features: Whether there are a live teacher's features.
        teacher_meanings: Meanings of the cached maps in the training data, each once, see `MapInfo`.
    """

    pairs: bool = True
    depth: bool = False
    teacher_depth: bool = False
    teacher_features: bool = False
    teacher_meanings: tuple[str, ...] = ()


@dataclass(frozen=True)
class WantedMaps:
    """Maps that a run reads next to its images.

    Attributes:
        depth: Whether it learns from depth maps or is evaluated on them.
        teacher_depth: Whether it learns from cached maps of a teacher.
    """

    depth: bool = False
    teacher_depth: bool = False
