"""From a source of examples to batches, by tf.data.

The batch of a step is a pure function of (source, spec, seed, step): a resumed run sees the batches that an
unbroken run would have seen, at once, and every host reads only its own part of each batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data import augment
from mdepth_jax.data.images import resize_image, resize_map, warp_image, warp_map
from mdepth_jax.data.pairs import net_coordinates, sample_ratio_pairs
from mdepth_jax.data.reader_tensorflow import tf
from mdepth_jax.data.types import MAP_KEYS, Batch, Example, Source
from mdepth_jax.errors import UserError


@dataclass(frozen=True)
class BatchSpec:
    """What a batch looks like.

    Attributes:
        height: Of the network's input.
        width: Of the network's input.
        batch_size: Over all processes.
        pairs: Per image; None for the largest number that an image of the source has. Fewer are padded. Of
            more, training draws some at random for each use of the image, and evaluation refuses.
        sampled_pairs: If positive, training draws that many pairs from the depth map for each use of the image, after
            augmentation and at the network's size, in place of the labelled ones.
        scale: Training enlarges images by a factor uniform in [1, scale], and divides both maps by it: what looks
            larger is nearer.
        rotation: Training turns images by at most this many degrees.
        crop: What part of the network's aspect training cuts out (see `augment.draw_view`); with either crop,
            evaluation reads the middle of the image alone.
        flip: Whether training mirrors every second image.
        jitter: Strength of the colour jitter in training, from 0 (off) to 1.
        depth: Whether batches hold the depth map.
        teacher_depth: Whether batches hold the teacher's map.
        log: Both maps hold their natural logarithm times this, what is not positive is unknown; 0 for the maps as they
            are.
    """

    height: int = 224
    width: int = 448
    batch_size: int = 4
    pairs: int | None = None
    sampled_pairs: int = 0
    scale: float = 1.0
    rotation: float = 0.0
    crop: augment.Crop = "none"
    flip: bool = False
    jitter: float = 0.0
    depth: bool = False
    teacher_depth: bool = False
    log: float = 0.0


def steps_per_epoch(source: Source, spec: BatchSpec) -> int:
    """Whole batches in the source; an epoch leaves the rest out, other examples in each.

    Raises:
        UserError: Not even one.
    """
    if not len(source):
        raise UserError("the data set is empty; choose another split or path")
    if len(source) < spec.batch_size:
        raise UserError(
            f"batch_size {spec.batch_size} is larger than the data set of {len(source)} images; choose a smaller one"
        )
    return len(source) // spec.batch_size


def train_batches(
    source: Source,
    spec: BatchSpec,
    *,
    seed: int,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """Endless batches, shuffled anew in each epoch.

    Args:
        source: The examples.
        spec: The form of a batch.
        seed: Fixes the order and the augmentation.
        start_step: The step of the first batch.
        process_index: Of this host.
        process_count: Hosts; each gets its slice of every batch.

    Raises:
        UserError: Batches that the source or the hosts cannot fill; when iterating, an example that is
            damaged.
    """
    epoch_size = steps_per_epoch(source, spec) * spec.batch_size
    pairs = spec.sampled_pairs or (source.max_pairs if spec.pairs is None else spec.pairs)
    max_index = tf.constant(len(source) - 1, tf.int64)

    def shuffle(position):
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), position // epoch_size])
        index = tf.random.experimental.index_shuffle(position % epoch_size, epoch_seed, max_index)
        return index, position

    def load(index: int, position: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((seed, position))
        example = source[index]
        size = example["image"].shape[:2]
        net = _augment(example, spec, pairs, rng)
        if spec.flip:
            net = augment.flip(net, rng)
        if spec.jitter:
            net["image"] = augment.jitter(net["image"], rng, spec.jitter)
        if spec.sampled_pairs:
            net["points"], net["relation"] = sample_ratio_pairs(net["depth"], rng, spec.sampled_pairs)
        return _pad(net, size, spec, pairs)

    forever = np.iinfo(np.int64).max // spec.batch_size
    positions = _positions(start_step, forever, spec, process_index, process_count)
    return _batches(positions.map(shuffle), load, spec, process_count)


def eval_batches(source: Source, spec: BatchSpec, *, process_index: int = 0, process_count: int = 1) -> Iterator[Batch]:
    """Every example once, in order; the points stay pixels of the original image, or of its middle with a crop.

    The last batch is filled up with examples that have no valid pair, so that all hosts see equally many
    batches.

    Args:
        source: The examples.
        spec: The form of a batch; no augmentation, but of `crop` the middle.
        process_index: Of this host.
        process_count: Hosts; each gets its slice of every batch.

    Raises:
        UserError: An empty source; when iterating, an example that is damaged or has more pairs than
            `spec.pairs`.
    """
    if not len(source):
        raise UserError("the data set is empty; choose another split or path")
    pairs = source.max_pairs if spec.pairs is None else spec.pairs
    steps = -(-len(source) // spec.batch_size)

    def load(index: int, position: int) -> dict[str, np.ndarray]:
        if index >= len(source):
            return _filling(spec, pairs)
        example = source[index]
        if len(example["relation"]) > pairs:
            raise UserError(
                f"example {index} has {len(example['relation'])} pairs; set `pairs` to None or to that number"
            )
        return _pad(*_whole_or_middle(example, spec), spec, pairs)

    positions = _positions(0, steps, spec, process_index, process_count)
    return _batches(positions.map(lambda position: (position, position)), load, spec, process_count)


def _positions(
    start_step: int, stop_step: int, spec: BatchSpec, process_index: int, process_count: int
) -> tf.data.Dataset:
    """This process's positions in the endless row of the examples of all batches."""
    size, remainder = divmod(spec.batch_size, process_count)
    if remainder:
        raise UserError(f"batch_size {spec.batch_size} does not divide among {process_count} hosts; choose a multiple")
    local = tf.data.Dataset.range(start_step * size, stop_step * size)
    return local.map(lambda p: p // size * spec.batch_size + process_index * size + p % size)


def _draw_pairs(example: Example, pairs: int, rng: np.random.Generator) -> Example:
    total = len(example["relation"])
    if total <= pairs:
        return example
    chosen = rng.choice(total, pairs, replace=False)
    drawn = example.copy()
    drawn["points"], drawn["relation"] = example["points"][chosen], example["relation"][chosen]
    return drawn


def _augment(example: Example, spec: BatchSpec, pairs: int, rng: np.random.Generator) -> Example:
    """The example as the network sees it in training, with at most `pairs` pairs, before flip and colours."""
    image_size, net_size = example["image"].shape[:2], (spec.height, spec.width)
    if (spec.scale, spec.rotation, spec.crop) == (1, 0, "none"):
        net = _resample(_draw_pairs(example, pairs, rng), spec)
        net["points"] = net_coordinates(net["points"], image_size, net_size)
        return net
    view = augment.draw_view(image_size, net_size, rng, scale=spec.scale, rotation=spec.rotation, crop=spec.crop)
    points, inside = augment.move_points(example["points"], view, image_size, net_size)
    seen = example.copy()
    seen["points"], seen["relation"] = points[inside], example["relation"][inside]
    return _resample(_draw_pairs(seen, pairs, rng), spec, view)


def _whole_or_middle(example: Example, spec: BatchSpec) -> tuple[Example, tuple[int, int]]:
    """The example as the network sees it in evaluation, and the size of what it sees of the image."""
    image_size = example["image"].shape[:2]
    if spec.crop == "none":
        return _resample(example, spec), image_size
    view, start, size = augment.middle_view(image_size, (spec.height, spec.width))
    points = example["points"] - start
    inside = ((points >= 0) & (points < size)).all(axis=(-2, -1))
    seen = example.copy()
    seen["points"], seen["relation"] = points[inside], example["relation"][inside]
    return _resample(seen, spec, view), (int(size[0]), int(size[1]))


def _resample(example: Example, spec: BatchSpec, view: augment.View | None = None) -> Example:
    """The image and the wanted maps at the network's size; a missing map is unknown everywhere."""
    size = spec.height, spec.width
    image = example["image"]
    resampled = Example(
        image=resize_image(image, *size) if view is None else warp_image(image, view.matrix, *size),
        points=example["points"],
        relation=example["relation"],
    )
    for key in MAP_KEYS:
        if getattr(spec, key) or (key == "depth" and spec.sampled_pairs):
            known = example[key] if key in example else np.full((1, 1), np.nan, np.float32)
            resampled[key] = (
                resize_map(known, *size)
                if view is None
                else warp_map(known, view.matrix, *size) / np.float32(view.zoom)
            )
    return resampled


def _logarithm(values: Float32[np.ndarray, "height width"], factor: float) -> Float32[np.ndarray, "height width"]:
    return np.float32(factor) * np.log(np.where(values > 0, values, np.float32(np.nan)))


def _pad(example: Example, image_size: tuple[int, int], spec: BatchSpec, pairs: int) -> dict[str, np.ndarray]:
    missing = pairs - len(example["relation"])
    row = {
        "image": example["image"],
        "points": np.pad(example["points"], ((0, missing), (0, 0), (0, 0))),
        "relation": np.pad(example["relation"], (0, missing)),
        "valid": np.arange(pairs) < pairs - missing,
        "image_size": np.array(image_size, np.int32),
    }
    for key in MAP_KEYS:
        if getattr(spec, key):
            values = _logarithm(example[key], spec.log) if spec.log else example[key]
            row[key] = values[..., np.newaxis]
    return row


def _filling(spec: BatchSpec, pairs: int) -> dict[str, np.ndarray]:
    blank = Example(
        image=np.zeros((spec.height, spec.width, 3), np.uint8),
        points=np.zeros((0, 2, 2), np.int32),
        relation=np.zeros(0, np.int32),
    )
    return _pad(_resample(blank, spec), (spec.height, spec.width), spec, pairs)


def _batches(
    locations: tf.data.Dataset,
    load: Callable[[int, int], dict[str, np.ndarray]],
    spec: BatchSpec,
    process_count: int,
) -> Iterator[Batch]:
    """Loads in parallel; what `load` raises is raised here as it was, not as TensorFlow reports it."""
    dtypes = {
        "image": tf.uint8,
        "points": tf.int32,
        "relation": tf.int32,
        "valid": tf.bool,
        "image_size": tf.int32,
    }
    dtypes |= {key: tf.float32 for key in MAP_KEYS if getattr(spec, key)}
    failures: dict[int, Exception] = {}

    def load_row(index, position):
        try:
            row = load(int(index), int(position))
        except Exception as error:
            failures[int(position)] = error
            raise
        return [row[key] for key in dtypes]

    def as_tensors(index, position):
        return dict(zip(dtypes, tf.numpy_function(load_row, [index, position], list(dtypes.values())), strict=True))

    dataset = (
        locations.map(as_tensors, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(spec.batch_size // process_count)
        .prefetch(tf.data.AUTOTUNE)
    )

    def iterate() -> Iterator[Batch]:
        try:
            yield from dataset.as_numpy_iterator()
        except Exception:
            if failures:
                raise failures[min(failures)] from None
            raise

    return iterate()
