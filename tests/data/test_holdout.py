import numpy as np
import pytest

from mdepth_jax.data.holdout import hold_out
from mdepth_jax.data.types import DataSetInfo, Example


class Numbers:
    """Source whose images show their own indices."""

    max_pairs, info, split, teacher_meaning = 3, DataSetInfo(name="numbers"), "train", "relative depth"

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        pairs = {"points": np.zeros((0, 2, 2), np.int32), "relation": np.zeros(0, np.int32)}
        return Example(image=np.full((1, 1, 3), index, np.uint8), **pairs)


def contents(source):
    return [int(source[index]["image"][0, 0, 0]) for index in range(len(source))]


@pytest.mark.parametrize(("count", "share", "held_out"), [(20, 0.1, 2), (19, 0.1, 1), (100, 0.29, 29), (10, 0.99, 9)])
def test_every_example_is_in_one_part(count, share, held_out):
    train, val = hold_out(Numbers(count), share, seed=0)
    assert len(val) == held_out
    assert sorted(contents(train) + contents(val)) == list(range(count))
    assert contents(train) == sorted(contents(train))
    assert (train.split, val.split) == ("train", "train (validation part)")
    assert (train.info, val.info, val.max_pairs) == (Numbers.info, Numbers.info, 3)
    assert train.teacher_meaning == val.teacher_meaning == "relative depth"


@pytest.mark.parametrize(("count", "share"), [(9, 0.1), (20, 0.0), (0, 0.5)])
def test_nothing_is_held_out_of_too_few(count, share):
    source = Numbers(count)
    assert hold_out(source, share, seed=0) == (source, None)


def test_the_division_is_a_function_of_the_seed():
    first, again, other = (contents(hold_out(Numbers(50), 0.2, seed=seed)[1]) for seed in (0, 0, 1))
    assert first == again != other
    picked = [contents(hold_out(Numbers(50), 0.2, seed=seed)[1]) for seed in range(200)]
    times = np.bincount(np.ravel(picked), minlength=50)
    assert times.min() > 15  # 40 on average: no place is preferred
    assert times.max() < 70
