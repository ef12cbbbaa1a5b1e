"""Pipeline from a source of examples to batches, on tf.data.

The batch of a step is a pure function of (source, spec, seed, step): a resumed run sees the batches of an uninterrupted
one without reading those before, and every host reads only its own part of each batch.
"""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from mdepth_jax.data import rows
from mdepth_jax.data.augment import CropMode
from mdepth_jax.data.crops import Crop
from mdepth_jax.data.rows import BatchSpec, Row
from mdepth_jax.data.types import MAP_KEYS, Batch, DataSetInfo, EvalSet, Source
from mdepth_jax.errors import UserError
from mdepth_jax.tensorflow_cpu import tf


def steps_per_epoch(source: Source, spec: BatchSpec) -> int:
    """Returns the number of full batches in a source; each epoch leaves out other examples.

    Raises:
        UserError: If there is none.
    """
    if not len(source):
        raise UserError("the data set is empty; choose another split or path")
    if len(source) < spec.batch_size:
        raise UserError(
            f"a batch of {spec.batch_size} is larger than the data set of {len(source)} images; choose a smaller batch"
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
    """Creates endless training batches, shuffled anew in each epoch.

    Args:
        source: Source of the examples.
        spec: Specification of a batch.
        seed: Seed of the order and the augmentation.
        start_step: Step of the first batch.
        process_index: Index of this host.
        process_count: Number of hosts, each of which gets its slice of every batch.

    Raises:
        UserError: If the source or the hosts cannot fill a batch; when iterating, if an example is damaged.
    """
    epoch_size = steps_per_epoch(source, spec) * spec.batch_size
    pairs = spec.sampled_pairs or (source.max_pairs if spec.pairs is None else spec.pairs)
    max_index = tf.constant(len(source) - 1, tf.int64)

    def shuffle(position):
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), position // epoch_size])
        index = tf.random.experimental.index_shuffle(position % epoch_size, epoch_seed, max_index)
        return index, position

    def load(index: int, position: int) -> Row:
        return rows.train_row(source[index], spec, pairs, np.random.default_rng((seed, position)))

    forever = np.iinfo(np.int64).max // spec.batch_size
    positions = _positions(start_step, forever, spec, process_index, process_count)
    return _batches(positions.map(shuffle), load, spec, process_count)


def eval_batches(source: Source, spec: BatchSpec, *, process_index: int = 0, process_count: int = 1) -> Iterator[Batch]:
    """Creates evaluation batches of every example once, in order.

    The points stay pixels of the original image, or of its middle part with a crop. The last batch is filled up with
    examples that have no valid pair, so that all hosts see the same number of batches.

    Args:
        source: Source of the examples.
        spec: Specification of a batch; its augmentation is off, and any `crop` is the middle of the image.
        process_index: Index of this host.
        process_count: Number of hosts, each of which gets its slice of every batch.

    Raises:
        UserError: If the source is empty; when iterating, if an example is damaged or has more pairs than `spec.pairs`.
    """
    if not len(source):
        raise UserError("the data set is empty; choose another split or path")
    pairs = source.max_pairs if spec.pairs is None else spec.pairs
    steps = -(-len(source) // spec.batch_size)

    def load(index: int, position: int) -> Row:
        if index >= len(source):
            return rows.filling_row(spec, pairs)
        example = source[index]
        if len(example["relation"]) > pairs:
            raise UserError(
                f"example {index} has {len(example['relation'])} pairs; set `pairs` to None or to that number"
            )
        return rows.eval_row(example, spec, pairs)

    positions = _positions(0, steps, spec, process_index, process_count)
    return _batches(positions.map(lambda position: (position, position)), load, spec, process_count)


def open_eval_set(
    source: Source,
    spec: BatchSpec,
    *,
    view: CropMode = "none",
    crop: Crop | None = None,
    has_maps: bool = False,
    info: DataSetInfo | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> EvalSet:
    """Opens a set to evaluate on: pairs are judged on whole images, depth maps in the view of the training.

    Args:
        source: Source of the examples.
        spec: Specification of a batch of whole images.
        view: Part of an image that the training crops to.
        crop: Rows and columns of a depth map to evaluate; None for all.
        has_maps: Whether to compare with the depth maps.
        info: Identity of the data set; None for that of the source.
        process_index: Index of this host.
        process_count: Number of hosts.
    """
    host = {"process_index": process_index, "process_count": process_count}
    depth_spec = replace(spec, crop=view) if has_maps else spec
    first_spec = spec if source.max_pairs else depth_spec
    return EvalSet(
        batches=lambda: eval_batches(source, first_spec, **host),
        truths=(lambda: eval_truths(source, depth_spec, crop, **host)) if has_maps else None,
        depth_batches=None if first_spec == depth_spec else lambda: eval_batches(source, depth_spec, **host),
        info=info or source.info,
        split=source.split,
    )


def eval_truths(
    source: Source,
    spec: BatchSpec,
    crop: Crop | None = None,
    *,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Float32[np.ndarray, "height width"] | None]:
    """Yields the true depth maps of the rows of `eval_batches`, at their own sizes and in their own unit.

    Args:
        source: Source of the examples.
        spec: Specification of a batch, the same as for `eval_batches`.
        crop: Rows and columns to evaluate; None for all.
        process_index: Index of this host.
        process_count: Number of hosts.

    Yields:
        A map, NaN where it is unknown or outside the crop; None for a row without a map.

    Raises:
        UserError: If the crop is `EIGEN_CROP` and a map has another size than it is for.
    """
    size = spec.batch_size // process_count
    for start in range(process_index * size, -(-len(source) // spec.batch_size) * spec.batch_size, spec.batch_size):
        for index in range(start, start + size):
            depth = source[index].get("depth") if index < len(source) else None
            yield None if depth is None else rows.visible_depth(depth, spec, crop)


def _positions(
    start_step: int, stop_step: int, spec: BatchSpec, process_index: int, process_count: int
) -> tf.data.Dataset:
    """Returns this host's positions in the endless sequence of the examples of all batches."""
    size, remainder = divmod(spec.batch_size, process_count)
    if remainder:
        raise UserError(f"a batch of {spec.batch_size} does not divide among {process_count} hosts; choose a multiple")
    local = tf.data.Dataset.range(start_step * size, stop_step * size)
    return local.map(lambda p: p // size * spec.batch_size + process_index * size + p % size)


def _batches(
    locations: tf.data.Dataset,
    load: Callable[[int, int], Row],
    spec: BatchSpec,
    process_count: int,
) -> Iterator[Batch]:
    """Loads batches in parallel; an error of `load` is raised as it is, without TensorFlow's wrapping."""
    failures: dict[int, Exception] = {}
    stopped = tf.Variable(False)
    dataset = (
        locations.take_while(lambda *_: ~stopped)
        .map(_as_graph(load, spec, failures), num_parallel_calls=tf.data.AUTOTUNE)
        .batch(spec.batch_size // process_count)
        .prefetch(tf.data.AUTOTUNE)
    )
    running = dataset.as_numpy_iterator()
    batches = _with_original_errors(running, failures)
    weakref.finalize(batches, _drain, running, stopped)
    return batches


def _as_graph(load: Callable[[int, int], Row], spec: BatchSpec, failures: dict[int, Exception]) -> Callable:
    """Wraps a function that loads a row for `tf.data`; it collects errors in `failures` by their positions."""
    dtypes = {
        "image": tf.uint8,
        "points": tf.int32,
        "relation": tf.int32,
        "valid": tf.bool,
        "image_size": tf.int32,
    }
    dtypes |= {key: tf.float32 for key in MAP_KEYS if getattr(spec, key)}

    def load_row(index, position):
        try:
            row = load(int(index), int(position))
        except Exception as error:
            failures[int(position)] = error
            raise
        return [row[key] for key in dtypes]

    def as_tensors(index, position):
        return dict(zip(dtypes, tf.numpy_function(load_row, [index, position], list(dtypes.values())), strict=True))

    return as_tensors


def _with_original_errors(batches: Iterator[Batch], failures: dict[int, Exception]) -> Iterator[Batch]:
    try:
        yield from batches
    except Exception:
        if failures:
            raise failures[min(failures)] from None
        raise


def _drain(batches: Iterator[Batch], stopped: tf.Variable) -> None:
    """Reads the pending batches: TensorFlow ends an iterator while holding the interpreter that loads need."""
    stopped.assign(True)
    while True:
        try:
            next(batches)
        except StopIteration:
            return
        except tf.errors.OpError:
            continue  # a load that failed
