import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.data.images import resize_image, resize_map
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.inference.scoring import evaluate_network, to_json
from mdepth_jax.training.config import overlay
from tests.inference import saved

HEIGHT, WIDTH = saved.SIZE


class Rooms:
    """Images of two sizes with pairs and depth maps."""

    max_pairs = 4
    info = DataSetInfo()
    split, teacher_meaning = "test", ""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        random = np.random.default_rng(index)
        height, width = (40, 50) if index % 2 else (20, 90)
        depth = random.uniform(1, 9, (height, width)).astype(np.float32)
        depth[0] = np.nan
        return {
            "image": random.integers(0, 256, (height, width, 3), dtype=np.uint8),
            "points": random.integers(0, (height, width), (4, 2, 2)).astype(np.int32),
            "relation": random.choice(np.array([-1, 1], np.int32), 4),
            "depth": depth,
        }


@pytest.fixture
def config():
    return overlay(data={"height": HEIGHT, "width": WIDTH})


def predict(images):
    """A network that predicts the brightness."""
    return images.astype(np.float32).mean(-1, keepdims=True)


def test_equals_a_plain_loop_over_the_pairs(config):
    """Every pair at the image's own size, the prediction resized there by hand."""
    wrong = total = 0
    for example in map(Rooms().__getitem__, range(5)):
        depth = predict(resize_image(example["image"], HEIGHT, WIDTH))[..., 0]
        height, width = example["image"].shape[:2]
        for points, relation in zip(example["points"], example["relation"], strict=True):
            z_a, z_b = (
                bilinear(depth, (y + 0.5) * HEIGHT / height - 0.5, (x + 0.5) * WIDTH / width - 0.5) for y, x in points
            )
            wrong += np.sign(z_a - z_b) != relation
            total += 1
    scores = to_json(evaluate_network(predict, Rooms(), config, batch_size=2))
    assert (scores["wrong"], scores["pairs"]) == (wrong, total)
    assert 0 < scores["whdr"] == wrong / total < 1
    assert "depth_maps" not in scores


def bilinear(values, y, x):
    y, x = np.clip(y, 0, values.shape[0] - 1), np.clip(x, 0, values.shape[1] - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
    above = values[top, left] + (values[top, right] - values[top, left]) * (x - left)
    below = values[bottom, left] + (values[bottom, right] - values[bottom, left]) * (x - left)
    return above + (below - above) * (y - top)


@pytest.mark.parametrize("log", [0.0, 100.0])
def test_depth_maps_at_their_own_size(config, log):
    config.data.log = log
    squares = []
    for example in map(Rooms().__getitem__, range(5)):
        depth = resize_map(predict(resize_image(example["image"], HEIGHT, WIDTH))[..., 0], *example["depth"].shape)
        depth = np.exp(depth / log) if log else depth
        squares.append((depth - example["depth"])[np.isfinite(example["depth"])] ** 2)
    scores = to_json(evaluate_network(predict, Rooms(), config, batch_size=2, has_maps=True))
    assert scores["depth_maps"] == 5
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(np.concatenate(squares))), rel=1e-4)


def test_predictions_are_aligned_to_nyu(config):
    squares = []
    for example in map(Rooms().__getitem__, range(5)):
        depth = resize_map(predict(resize_image(example["image"], HEIGHT, WIDTH))[..., 0], *example["depth"].shape)
        depth = (depth - depth.mean()) / depth.std(ddof=1) * 0.6148231626 + 2.8424594402
        depth = np.where(depth < 0, depth[depth > 0].min() + 1e-5, depth)
        squares.append((depth - example["depth"])[np.isfinite(example["depth"])] ** 2)
    result = evaluate_network(predict, Rooms(), config, batch_size=2, has_maps=True, align="nyu")
    assert result.scores["rmse"] == pytest.approx(np.sqrt(np.mean(np.concatenate(squares))), rel=1e-3)
    assert 0 <= result.scores["delta1"] <= 1


class Darkness(Rooms):
    """Rooms whose depth is a function of what `predict` sees, such that one alignment is perfect and no other."""

    def __init__(self, depth_of):
        self.depth_of = depth_of

    def __getitem__(self, index):
        example = super().__getitem__(index)
        brightness = resize_map(predict(resize_image(example["image"], HEIGHT, WIDTH))[..., 0], HEIGHT, WIDTH)
        return example | {"depth": self.depth_of(brightness).astype(np.float32)}


@pytest.mark.parametrize(
    ("log", "terms", "depth_of", "best"),
    [
        (0.0, "ranking", lambda z: 0.02 * z + 1, "affine"),
        (0.0, "ranking", lambda z: 1 / (2 - 0.005 * z), "disparity"),  # relative depth is fitted as it is
        (0.0, "l1", lambda z: 1 / (5 / z + 0.1), "disparity"),  # depth up to a factor has a disparity
        (100.0, "ranking", lambda z: 3 * np.exp(z / 100) - 2, "affine"),
        (100.0, "ranking", lambda z: 1 / (0.3 * np.exp(-z / 100) + 0.2), "disparity"),
    ],
)
def test_predictions_are_fitted_to_each_depth_map(config, log, terms, depth_of, best):
    config.data.log, config.loss.terms = log, terms
    errors = {}
    for align in ("affine", "disparity"):
        result = evaluate_network(predict, Darkness(depth_of), config, batch_size=2, has_maps=True, align=align)
        assert result.scores.keys() == {"whdr", "abs_rel", "delta1", "delta2", "delta3", "rmse"}
        assert result.maps == 5
        errors[align] = result.scores["abs_rel"]
    assert errors.pop(best) < 1e-5
    assert min(errors.values()) > 1e-4


def test_errors_after_a_fit_are_means_over_images(config):
    expected = []
    for example in map(Rooms().__getitem__, range(5)):
        depth = resize_map(predict(resize_image(example["image"], HEIGHT, WIDTH))[..., 0], *example["depth"].shape)
        known = np.isfinite(example["depth"])
        p, t = depth[known].astype(np.float64), example["depth"][known].astype(np.float64)
        aligned = np.clip(np.polyval(np.polyfit(p, t, 1), p), 1e-3, 80)
        ratio = np.maximum(aligned / t, t / aligned)
        error = np.abs(aligned - t)
        expected.append(
            [(error / t).mean(), *((ratio < 1.25**n).mean() for n in (1, 2, 3)), np.sqrt((error**2).mean())]
        )
    result = evaluate_network(predict, Rooms(), config, batch_size=2, has_maps=True, align="affine")
    names = ("abs_rel", "delta1", "delta2", "delta3", "rmse")
    found = [result.scores[name] for name in names]
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-6)


def test_a_map_of_one_pixel_does_not_count(config):
    class Sparse(Rooms):
        def __getitem__(self, index):
            example = super().__getitem__(index)
            depth = np.full_like(example["depth"], np.nan)
            depth.ravel()[:index] = 2 + np.arange(index)
            return example | {"depth": depth}

    result = evaluate_network(predict, Sparse(), config, batch_size=2, has_maps=True, align="affine")
    assert result.maps == 3
    assert np.isfinite(list(result.scores.values())).all()


def test_a_flax_network_is_evaluated_on_all_devices(config):
    model, _ = saved.network()
    graph, variables = nnx.split(model)
    function = jax.jit(lambda images: nnx.merge(graph, variables)(images).depth)
    plain = evaluate_network(lambda images: np.asarray(function(jnp.asarray(images))), Rooms(), config, batch_size=2)
    spread = evaluate_network(model, Rooms(), config, batch_size=1)
    assert (spread.wrong, spread.total, spread.row_whdr) == (plain.wrong, plain.total, plain.row_whdr)
    assert spread.total == 20
