import itertools

import numpy as np
import pytest

from mdepth_jax.data.images import resize_image
from mdepth_jax.data.pairs import net_coordinates
from mdepth_jax.data.pipeline import BatchSpec, eval_batches, steps_per_epoch, train_batches
from mdepth_jax.errors import UserError

SPEC = BatchSpec(height=6, width=10, batch_size=4, flip=True, jitter=0.3, depth=True, teacher_depth=True)


class Noise:
    """Images of noise; the image of index i has i pairs, at most `pairs`, and the depth i + 1 everywhere."""

    def __init__(self, count, pairs=3):
        self.count, self.max_pairs = count, pairs

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        height, width = 12 + index, 20
        pairs = min(index, self.max_pairs)
        return {
            "image": rng.integers(0, 255, (height, width, 3), dtype=np.uint8),
            "points": rng.integers(0, 12, (pairs, 2, 2), dtype=np.int32),
            "relation": rng.integers(-1, 2, pairs, dtype=np.int32),
            "depth": np.full((height, width), index + 1, np.float32),
        }


class Damaged(Noise):
    def __getitem__(self, index):
        if index == 5:
            raise UserError("pairs.csv:12: damaged; replace it")
        return super().__getitem__(index)


def take(count, *arguments, **keywords):
    return list(itertools.islice(train_batches(*arguments, **keywords), count))


def indices(batches):
    return np.concatenate([batch["depth"][:, 0, 0, 0] for batch in batches]).astype(int) - 1


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for key in batch:
            assert batch[key].dtype == other[key].dtype
            np.testing.assert_array_equal(batch[key], other[key], err_msg=key)


def test_shapes_and_types():
    batch = take(1, Noise(9), SPEC, seed=0)[0]
    assert {key: (value.shape, value.dtype.name) for key, value in batch.items()} == {
        "image": ((4, 6, 10, 3), "uint8"),
        "points": ((4, 3, 2, 2), "int32"),
        "relation": ((4, 3), "int32"),
        "valid": ((4, 3), "bool"),
        "image_size": ((4, 2), "int32"),
        "depth": ((4, 6, 10, 1), "float32"),
        "teacher_depth": ((4, 6, 10, 1), "float32"),
    }
    assert np.isnan(batch["teacher_depth"]).all()


def test_resumed_run_sees_the_same_batches():
    unbroken = take(9, Noise(11), SPEC, seed=3)
    for start in (1, 2, 6):
        assert_same(unbroken[start:], take(9 - start, Noise(11), SPEC, seed=3, start_step=start))


def test_resume_needs_no_reading_of_what_lies_before():
    batch = take(1, Noise(11), SPEC, seed=3, start_step=10**12)[0]
    assert batch["image"].shape == (4, 6, 10, 3)


def test_seeds_differ():
    assert (indices(take(5, Noise(20), SPEC, seed=0)) != indices(take(5, Noise(20), SPEC, seed=1))).any()


def test_an_epoch_uses_every_example_at_most_once():
    batches = take(15, Noise(22), SPEC, seed=0)
    assert steps_per_epoch(Noise(22), SPEC) == 5
    epochs = [indices(batches[start : start + 5]) for start in (0, 5, 10)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 20
    assert (epochs[0] != epochs[1]).any()
    assert set(np.concatenate(epochs).tolist()) == set(range(22))
    whole = indices(take(5, Noise(20), SPEC, seed=1))
    np.testing.assert_array_equal(np.sort(whole), np.arange(20))


def test_processes_share_each_batch():
    together = take(5, Noise(11), SPEC, seed=0)
    parts = [take(5, Noise(11), SPEC, seed=0, process_index=index, process_count=2) for index in (0, 1)]
    joined = [{key: np.concatenate([a[key], b[key]]) for key in a} for a, b in zip(*parts, strict=True)]
    assert_same(together, joined)


def test_training_batch_against_the_plain_way():
    source, spec = Noise(8), BatchSpec(height=6, width=10, batch_size=4, depth=True)
    for batch in take(4, source, spec, seed=0):
        for row, index in enumerate(indices([batch])):
            example = source[index]
            size = example["image"].shape[:2]
            pairs = len(example["relation"])
            np.testing.assert_array_equal(batch["image"][row], resize_image(example["image"], 6, 10))
            np.testing.assert_array_equal(batch["image_size"][row], size)
            np.testing.assert_array_equal(batch["valid"][row], [True] * pairs + [False] * (3 - pairs))
            np.testing.assert_array_equal(batch["relation"][row, :pairs], example["relation"])
            moved = net_coordinates(example["points"], size, (6, 10))
            np.testing.assert_array_equal(batch["points"][row, :pairs], moved)
            assert not batch["points"][row, pairs:].any()


def test_surplus_pairs_are_drawn_anew_for_each_use():
    source, spec = Noise(8, pairs=6), BatchSpec(height=6, width=10, batch_size=4, pairs=2, depth=True)
    drawn = {index: set() for index in range(8)}
    for batch in take(20, source, spec, seed=0):
        for row, index in enumerate(indices([batch])):
            example = source[index]
            points = net_coordinates(example["points"], example["image"].shape[:2], (6, 10))
            labelled = set(map(tuple, np.c_[points.reshape(-1, 4), example["relation"]].tolist()))
            valid = batch["valid"][row]
            assert valid.sum() == min(2, len(example["relation"]))
            rows = np.c_[batch["points"][row].reshape(-1, 4), batch["relation"][row]][valid].tolist()
            assert set(map(tuple, rows)) <= labelled
            drawn[index].add(tuple(map(tuple, rows)))
    assert len(drawn[1]) == 1
    assert len(drawn[7]) > 3


def test_log_maps():
    spec = BatchSpec(height=6, width=10, batch_size=4, depth=True, teacher_depth=True, log=2.0)
    batch = take(1, Noise(4), spec, seed=0)[0]
    np.testing.assert_allclose(np.sort(batch["depth"][:, 0, 0, 0]), 2 * np.log([1, 2, 3, 4]), rtol=1e-6)
    assert np.isnan(batch["teacher_depth"]).all()


def test_evaluation_reads_every_example_once():
    source = Noise(10)
    batches = list(eval_batches(source, SPEC))
    assert [batch["image"].shape[0] for batch in batches] == [4, 4, 4]
    depth = np.concatenate([batch["depth"][:, 0, 0, 0] for batch in batches])
    np.testing.assert_array_equal(depth, [*range(1, 11), np.nan, np.nan])
    rows = [{key: batch[key][row] for key in batch} for batch in batches for row in range(4)]
    for index, row in enumerate(rows[:10]):
        example = source[index]
        np.testing.assert_array_equal(row["points"][row["valid"]], example["points"])
        np.testing.assert_array_equal(row["relation"][row["valid"]], example["relation"])
        np.testing.assert_array_equal(row["image_size"], example["image"].shape[:2])
        np.testing.assert_array_equal(row["image"], resize_image(example["image"], 6, 10))
    assert not any(row["valid"].any() for row in rows[10:])


def test_evaluation_on_two_processes():
    together = list(eval_batches(Noise(9), SPEC))
    parts = [list(eval_batches(Noise(9), SPEC, process_index=index, process_count=2)) for index in (0, 1)]
    joined = [{key: np.concatenate([a[key], b[key]]) for key in a} for a, b in zip(*parts, strict=True)]
    assert_same(together, joined)


def test_mistakes_are_told_before_reading():
    with pytest.raises(UserError, match="batch_size 4 is larger than the data set of 3 images"):
        train_batches(Noise(3), SPEC, seed=0)
    for open_batches in (lambda: train_batches(Noise(0), SPEC, seed=0), lambda: eval_batches(Noise(0), SPEC)):
        with pytest.raises(UserError, match="data set is empty"):
            open_batches()
    with pytest.raises(UserError, match="does not divide among 3 hosts"):
        train_batches(Noise(9), SPEC, seed=0, process_count=3)


def test_a_damaged_example_is_told_as_it_is():
    with pytest.raises(UserError, match=r"^pairs\.csv:12: damaged; replace it$"):
        take(3, Damaged(8), SPEC, seed=0)
    with pytest.raises(UserError, match=r"^pairs\.csv:12"):
        list(eval_batches(Damaged(8), SPEC))
    with pytest.raises(UserError, match="has 2 pairs"):
        list(eval_batches(Noise(8), BatchSpec(6, 10, 4, pairs=1)))
