import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax import metrics
from mdepth_jax.data.scenery.raycast import FAR
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.errors import UserError


@pytest.fixture(scope="module")
def examples():
    return list(Scenes(100, 18, 24, pairs_per_image=4))


def test_an_example_is_a_pure_function_of_seed_split_and_index():
    first, again = Scenes(5, 24, 32)[3], Scenes(9, 24, 32)[3]
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
    others = [Scenes(5, 24, 32)[2], Scenes(5, 24, 32, split="test")[3], Scenes(5, 24, 32, seed=1)[3]]
    assert all((other["depth"] != first["depth"]).any() for other in others)


def test_shapes_types_and_ranges(examples):
    for example in examples:
        image, depth = example["image"], example["depth"]
        assert (image.shape, image.dtype) == ((18, 24, 3), np.uint8)
        assert (depth.shape, depth.dtype) == ((18, 24), np.float32)
        assert (example["points"].shape, example["points"].dtype) == ((4, 2, 2), np.int32)
        assert (example["relation"].shape, example["relation"].dtype) == ((4,), np.int32)
        assert np.isfinite(depth).all()
        assert depth.min() > 0
        assert depth.max() <= FAR


def test_every_picture_shows_something(examples):
    for example in examples:
        near, far = np.percentile(example["depth"], (5, 95))
        assert far > 1.5 * near
        assert (example["depth"] == FAR).mean() < 0.75
        assert 40 < example["image"].mean() < 220
        assert example["image"].std() > 5


def test_labels_match_the_depth_and_are_balanced(examples):
    for example in examples:
        a, b = (example["depth"][tuple(example["points"][:, i].T)] for i in (0, 1))
        np.testing.assert_array_equal(example["relation"], np.sign(a - b))
        assert (np.maximum(a, b) > 1.1 * np.minimum(a, b)).all()
    relation = np.concatenate([example["relation"] for example in examples])
    assert abs(relation.mean()) < 4 / np.sqrt(relation.size)


def test_half_of_the_pairs_are_symmetric_even_with_one_pair_an_image(examples):
    def share(examples):
        points = np.concatenate([example["points"] for example in examples])
        a, b = points[:, 0], points[:, 1]
        return ((a[:, 0] == b[:, 0]) & (a[:, 1] + b[:, 1] == 23)).mean()

    assert share(examples) == pytest.approx(0.5, abs=0.02)
    assert share(Scenes(60, 18, 24)) == pytest.approx(0.5, abs=0.2)


def test_image_row_alone_is_a_poor_guess(examples):
    points = jnp.stack([example["points"] for example in examples])
    relation = jnp.stack([example["relation"] for example in examples])
    assert metrics.row_baseline_wrong(points, relation) > 0.35 * relation.size


def test_any_size_works():
    assert Scenes(1, 20, 64)[0]["image"].shape == (20, 64, 3)
    assert Scenes(1, 7, 5, pairs_per_image=3)[0]["relation"].shape == (3,)


def test_index_out_of_range_and_unknown_split():
    scenes = Scenes(2, 12, 16, pairs_per_image=3)
    assert len(scenes) == 2
    assert scenes.max_pairs == 3
    for index in (-1, 2):
        with pytest.raises(IndexError):
            scenes[index]
    with pytest.raises(UserError, match=r"'val'.*validation"):
        Scenes(2, 12, 16, split="val")
