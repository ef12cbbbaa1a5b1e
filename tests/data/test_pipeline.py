import dataclasses
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from mdepth_jax.data.images import resize_image
from mdepth_jax.data.pairs import net_coordinates
from mdepth_jax.data.pipeline import BatchSpec, eval_batches, steps_per_epoch, train_batches
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
SPEC = BatchSpec(height=6, width=10, batch_size=4, flip=True, jitter=0.3, depth=True, teacher_depth=True)


class Noise:
    """Images of noise; the image of index i has i pairs, at most `pairs`, and the depth i + 1 everywhere."""

    info = DataSetInfo()
    split, teacher_meaning = "train", ""

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


def test_resuming_reads_no_earlier_examples():
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
    complete = indices(take(5, Noise(20), SPEC, seed=1))
    np.testing.assert_array_equal(np.sort(complete), np.arange(20))


def test_processes_share_each_batch():
    together = take(5, Noise(11), SPEC, seed=0)
    parts = [take(5, Noise(11), SPEC, seed=0, process_index=index, process_count=2) for index in (0, 1)]
    joined = [{key: np.concatenate([a[key], b[key]]) for key in a} for a, b in zip(*parts, strict=True)]
    assert_same(together, joined)


def test_training_batches_equal_their_resized_examples():
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
            labeled = set(map(tuple, np.c_[points.reshape(-1, 4), example["relation"]].tolist()))
            valid = batch["valid"][row]
            assert valid.sum() == min(2, len(example["relation"]))
            rows = np.c_[batch["points"][row].reshape(-1, 4), batch["relation"][row]][valid].tolist()
            assert set(map(tuple, rows)) <= labeled
            drawn[index].add(tuple(map(tuple, rows)))
    assert len(drawn[1]) == 1
    assert len(drawn[7]) > 3


class Coordinates(Noise):
    """Images of one size; depth is the row, the teacher's map the column; one pair for each pixel of a grid."""

    def __getitem__(self, index):
        rows, columns = np.indices((60, 90)).astype(np.float32)
        a = np.stack(np.meshgrid(np.arange(0, 60, 6), np.arange(0, 90, 6)), axis=-1).reshape(-1, 2)
        points = np.stack([a, np.roll(a, 1, axis=0)], axis=1).astype(np.int32)
        image = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
        relation = np.where(points[:, 0, 0] > points[:, 1, 0], 1, -1).astype(np.int32)
        return {"image": image, "points": points, "relation": relation, "depth": rows + 1, "teacher_depth": columns + 1}


AUGMENTED = BatchSpec(
    height=40,
    width=40,
    batch_size=2,
    flip=True,
    rotation=10.0,
    scale=1.5,
    crop="random",
    depth=True,
    teacher_depth=True,
)


def test_augmented_points_follow_their_pixels():
    spec, source = AUGMENTED, Coordinates(4, 150)
    batches = take(3, source, spec, seed=0)
    assert_same(batches, take(3, source, spec, seed=0))
    example = source[0]
    labeled = {}
    for (a, b), relation in zip(example["points"], example["relation"], strict=True):
        labeled[tuple(a), tuple(b)] = relation
    zooms = set()
    for batch in batches:
        for row in range(2):
            valid = batch["valid"][row]
            assert 0 < valid.sum() < 150
            points, relation = batch["points"][row][valid], batch["relation"][row][valid]
            assert (points >= 0).all()
            assert (points < 40).all()
            y, x = np.moveaxis(points, -1, 0)
            image = batch["image"][row][y, x].astype(int)
            depth, teacher = batch["depth"][row][y, x, 0], batch["teacher_depth"][row][y, x, 0]
            known = np.isfinite(depth) & np.isfinite(teacher) & (image[..., 1] > 20) & (image[..., 0] > 20)
            zoom = (image[..., 0] + 1)[known] / depth[known]
            zooms.add(round(float(np.median(zoom)), 2))
            assert np.ptp(zoom) < 0.1
            np.testing.assert_allclose((image[..., 1] + 1)[known] / teacher[known], np.median(zoom), atol=0.06)
            both = known.all(1)
            assert both.any()
            shown = (image[both, :, :2] / 6).round().astype(int) * 6
            for (a, b), sign in zip(shown, relation[both], strict=True):
                assert labeled[tuple(a.tolist()), tuple(b.tolist())] == sign
    assert len(zooms) > 3
    assert min(zooms) >= 1
    assert max(zooms) <= 1.5


def test_crop_alone_keeps_the_aspect_in_training_and_evaluation():
    spec = BatchSpec(height=40, width=40, batch_size=2, crop="center")
    source = Coordinates(2, 150)
    example = source[0]
    train, held_out = take(1, source, spec, seed=0)[0], next(eval_batches(source, spec))
    middle = resize_image(example["image"][:, 15:75], 40, 40)
    inside = ((example["points"][..., 1] >= 15) & (example["points"][..., 1] < 75)).all(1)
    for batch in (train, held_out):
        np.testing.assert_array_equal(batch["image"][0], middle)
        np.testing.assert_array_equal(batch["valid"].sum(1), inside.sum())
    np.testing.assert_array_equal(held_out["image_size"], 60)
    np.testing.assert_array_equal(held_out["points"][0][: inside.sum()], (example["points"] - (0, 15))[inside])
    np.testing.assert_array_equal(held_out["relation"][0][: inside.sum()], example["relation"][inside])


def test_pairs_sampled_from_the_map_in_each_step():
    spec = dataclasses.replace(AUGMENTED, sampled_pairs=50, teacher_depth=False, log=1.0)
    batches = take(2, Coordinates(4, 150), spec, seed=0)
    assert (batches[0]["points"] != batches[1]["points"]).any()
    for batch in batches:
        assert batch["valid"].all()
        for row in range(2):
            y, x = np.moveaxis(batch["points"][row], -1, 0)
            difference = np.subtract(*np.moveaxis(batch["depth"][row][y, x, 0], -1, 0))
            expected = np.where(np.abs(difference) < np.log(1.02), 0, np.sign(difference))
            np.testing.assert_array_equal(batch["relation"][row], expected)
    without_maps = dataclasses.replace(spec, depth=False, log=0.0)
    batch = take(1, Coordinates(4, 150), without_maps, seed=0)[0]
    np.testing.assert_array_equal(batch["points"], batches[0]["points"])
    assert "depth" not in batch
    held_out = next(eval_batches(Coordinates(2, 150), without_maps))
    assert held_out["points"].shape[1] == 150


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


def test_errors_are_raised_before_reading():
    with pytest.raises(UserError, match="a batch of 4 is larger than the data set of 3 images"):
        train_batches(Noise(3), SPEC, seed=0)
    for open_batches in (lambda: train_batches(Noise(0), SPEC, seed=0), lambda: eval_batches(Noise(0), SPEC)):
        with pytest.raises(UserError, match="data set is empty"):
            open_batches()
    with pytest.raises(UserError, match="does not divide among 3 hosts"):
        train_batches(Noise(9), SPEC, seed=0, process_count=3)


def test_the_error_of_a_damaged_example_is_raised_unchanged():
    with pytest.raises(UserError, match=r"^pairs\.csv:12: damaged; replace it$"):
        take(3, Damaged(8), SPEC, seed=0)
    with pytest.raises(UserError, match=r"^pairs\.csv:12"):
        list(eval_batches(Damaged(8), SPEC))
    with pytest.raises(UserError, match="has 2 pairs"):
        list(eval_batches(Noise(8), BatchSpec(6, 10, 4, pairs=1)))


def test_a_process_ends_with_unread_batches():
    script = """
from mdepth_jax.data.pipeline import BatchSpec, train_batches
from mdepth_jax.data.sources.scenes import Scenes
batches = train_batches(Scenes(64, 24, 32), BatchSpec(height=24, width=32, batch_size=4), seed=0)
next(batches)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, cwd=ROOT)
