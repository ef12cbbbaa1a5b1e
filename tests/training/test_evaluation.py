import dataclasses

import jax
import numpy as np
import pytest

from mdepth_jax.data.images import resize_map
from mdepth_jax.data.pipeline import BatchSpec, eval_batches, eval_truths
from mdepth_jax.data.types import DataSetInfo, EvalSet, Example
from mdepth_jax.training.evaluation import evaluate
from mdepth_jax.training.step import make_mesh

SIZES = [(20, 30), (16, 16), (33, 21), (12, 40), (20, 30)]


class Ragged:
    """Images and depth maps of several sizes, some pixels unknown; the last one has no map."""

    max_pairs = 0
    info = DataSetInfo()
    split, teacher_meaning = "test", ""

    def __len__(self):
        return len(SIZES)

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        shape = SIZES[index]
        example = Example(
            image=rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
            points=np.zeros((0, 2, 2), np.int32),
            relation=np.zeros(0, np.int32),
        )
        if index < len(SIZES) - 1:
            depth = rng.uniform(1, 5, shape).astype(np.float32)
            depth[rng.random(shape) < 0.3] = np.nan
            example["depth"] = depth
        return example


def brightness(batch):
    """Stands for a network: the logarithm of depth is the brightness of the image."""
    depth = np.asarray(batch["image"]).mean(-1, keepdims=True).astype(np.float32) / 255
    rows = batch["image"].sharding
    zeros = jax.device_put(np.zeros(len(depth), np.int32), rows)
    return {"depth": jax.device_put(depth, rows), "wrong": zeros, "total": zeros, "row_wrong": np.float32(0)}


@pytest.mark.parametrize("devices", [1, 2])
def test_depth_is_compared_at_the_size_of_each_map(devices):
    source, spec = Ragged(), BatchSpec(height=8, width=12, batch_size=2)
    crop = slice(2, 11), slice(3, 15)
    result = evaluate(
        brightness,
        EvalSet(lambda: eval_batches(source, spec), lambda: eval_truths(source, spec, crop)),
        make_mesh(jax.devices()[:devices]),
        log=1.0,
    )
    squares, ratios, si = [], [], []
    for index, batch in enumerate(eval_batches(source, BatchSpec(height=8, width=12, batch_size=1))):
        if "depth" not in source[index]:
            continue
        truth = source[index]["depth"]
        prediction = np.exp(resize_map(batch["image"][0].mean(-1).astype(np.float32) / 255, *truth.shape))
        inside = np.zeros(truth.shape, bool)
        inside[crop] = True
        known = np.isfinite(truth) & inside
        p, t = prediction[known].astype(np.float64), truth[known].astype(np.float64)
        squares.append((p - t) ** 2)
        ratios.append(np.maximum(p / t, t / p) < 1.25)
        error = np.log(p) - np.log(t)
        si.append(np.sqrt(2 * np.var(error)))
    assert result.total == 0
    assert result.scores.keys() == {"rmse", "delta1", "si_rmse"}
    assert result.scores["rmse"] == pytest.approx(np.sqrt(np.mean(np.concatenate(squares))), rel=1e-5)
    assert result.scores["delta1"] == pytest.approx(np.mean(np.concatenate(ratios)), rel=1e-6)
    assert result.scores["si_rmse"] == pytest.approx(np.mean(si), rel=1e-5)
    assert result.maps == len(SIZES) - 1


def test_pairs_and_depth_maps_may_have_views_of_their_own():
    """The counts come from the one, the errors of depth from the other."""
    source, whole = Ragged(), BatchSpec(height=8, width=8, batch_size=2)
    middle = dataclasses.replace(whole, crop="center")

    def count_images(batch):
        return brightness(batch) | {"total": batch["image_size"][:, 1]}

    options = {"log": 1.0}
    mesh = make_mesh(jax.devices()[:1])
    both = evaluate(
        count_images,
        EvalSet(
            lambda: eval_batches(source, whole),
            lambda: eval_truths(source, middle),
            lambda: eval_batches(source, middle),
        ),
        mesh,
        **options,
    )
    view = EvalSet(lambda: eval_batches(source, middle), lambda: eval_truths(source, middle))
    alone = evaluate(brightness, view, mesh, **options)
    assert {name: both.scores[name] for name in alone.scores} == alone.scores
    assert both.total >= sum(width for _, width in SIZES)
    np.testing.assert_array_equal(both.images, next(iter(eval_batches(source, whole)))["image"])


def test_hosts_share_the_maps_as_they_share_the_images():
    source, spec = Ragged(), BatchSpec(height=8, width=8, batch_size=2)
    shares = [list(eval_truths(source, spec, process_index=host, process_count=2)) for host in range(2)]
    for host, share in enumerate(shares):
        indices = [index for index in range(6) if index % 2 == host]
        assert len(share) == len(indices)
        for index, truth in zip(indices, share, strict=True):
            expected = source[index].get("depth") if index < len(source) else None
            assert (truth is None) == (expected is None)
            if truth is not None:
                np.testing.assert_array_equal(truth, expected)
