import numpy as np

from mdepth_jax.data.augment import flip, jitter


def make_example():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 255, (6, 9, 3), dtype=np.uint8),
        "points": rng.integers(0, 6, (5, 2, 2), dtype=np.int32),
        "relation": np.array([1, -1, 0, 1, 1], np.int32),
        "depth": rng.random((6, 9), dtype=np.float32),
    }


def colours(example, key):
    return example[key][example["points"][..., 0], example["points"][..., 1]]


def test_a_point_follows_its_pixel():
    example = make_example()
    results = [flip(example, np.random.default_rng(seed)) for seed in range(16)]
    mirrored = [result for result in results if (result["image"] == example["image"][:, ::-1]).all()]
    same = [result for result in results if (result["image"] == example["image"]).all()]
    assert mirrored
    assert same
    assert len(mirrored) + len(same) == 16
    for result in results:
        for key in ("image", "depth"):
            np.testing.assert_array_equal(colours(result, key), colours(example, key))
        np.testing.assert_array_equal(result["relation"], example["relation"])


def test_flip_leaves_its_input_alone():
    example, untouched = make_example(), make_example()
    for seed in range(4):
        flip(example, np.random.default_rng(seed))
    for key in untouched:
        np.testing.assert_array_equal(example[key], untouched[key])


def test_jitter_is_a_function_of_the_generator():
    image = make_example()["image"]
    once, again, other = (jitter(image, np.random.default_rng(seed), 0.4) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    np.testing.assert_array_equal(jitter(image, np.random.default_rng(1), 0.0), image)


def test_jitter_keeps_grey_grey():
    grey = np.full((4, 4, 3), 100, np.uint8)
    result = jitter(grey, np.random.default_rng(3), 0.5)
    assert (result == result[0, 0, 0]).all()
    factor = np.random.default_rng(3).uniform(0.5, 1.5, 3)[0]
    np.testing.assert_allclose(result[0, 0].astype(float), 100 * factor, atol=0.51)
