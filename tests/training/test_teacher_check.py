import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from mdepth_jax import train
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.types import Data, EvalSet
from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, depthwise, layers
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.training.config import override
from mdepth_jax.training.loop import Trainer
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.teacher import open_teacher
from mdepth_jax.training.teacher_check import MAX_BATCHES, check_teacher_sign
from mdepth_jax.training.terms import parse_terms
from tests.models.encdecresnet import narrow, write_checkpoint
from tests.training.batches import SIZE, random_batch


def labeled_batch(seed, depth, share_wrong=0.0):
    """A batch whose pairs are those that a map has, but for a share of them."""
    batch = random_batch(seed) | {"teacher_depth": depth}
    rows = np.arange(4)[:, None, None]
    a, b = np.moveaxis(depth[rows, batch["points"][..., 0], batch["points"][..., 1], 0], -1, 0)
    turn = np.where(np.random.default_rng(seed).random(a.shape) < share_wrong, -1, 1)
    return batch | {"relation": (np.sign(a - b) * turn).astype(np.int32)}


def cached(share_wrong, steps_per_epoch=100, change=lambda batch: batch):
    """Training data with cached maps of a teacher, and the list of the steps that were read."""
    read = []

    def batches(start):
        for step in itertools.count(start):
            read.append(step)
            depth = np.random.default_rng(step).normal(size=(4, SIZE, SIZE, 1)).astype(np.float32)
            yield change(labeled_batch(step, depth, share_wrong))

    return Data(batches, steps_per_epoch, EvalSet(list)), read


@pytest.mark.parametrize(("share_wrong", "most"), [(0.0, 1), (0.25, 8), (0.5, MAX_BATCHES)])
def test_a_teacher_that_is_better_than_chance_is_accepted_after_few_batches(config, share_wrong, most):
    data, read = cached(share_wrong)
    check_teacher_sign(config, data, None)
    assert len(read) <= most


@pytest.mark.parametrize("share_wrong", [0.75, 1.0])
def test_an_inverted_teacher_is_refused(config, share_wrong):
    data, _ = cached(share_wrong)
    with pytest.raises(UserError, match=r"training pairs the wrong way round.*set `config\.teacher\.inverted=True`$"):
        check_teacher_sign(config, data, None)
    config.teacher.inverted = True
    with pytest.raises(UserError, match=r"set `config\.teacher\.inverted=False`$"):
        check_teacher_sign(config, data, None)


def test_a_teacher_in_training_is_checked(config):
    """On images whose brightness is their depth."""

    def bright(batch):
        image = batch["image"].copy()
        image[..., 0] = np.linspace(0, 255, SIZE, dtype=np.uint8)
        depth = image[..., :1].astype(np.float32)
        return {key: value for key, value in labeled_batch(0, depth).items() if key != "teacher_depth"} | {
            "image": image
        }

    def predict(image):
        depth = jnp.asarray(image[..., :1], jnp.float32)
        return Prediction(depth, depth)

    data, _ = cached(0.0, change=bright)
    check_teacher_sign(config, data, predict)
    with pytest.raises(UserError, match="wrong way round"):
        check_teacher_sign(config, data, lambda image: predict(255 - image))


def test_pairs_that_say_nothing_do_not_count(config):
    """Equal pairs, ties, padding, unknown depth; and no more than an epoch is read."""

    def change(batch):
        batch["relation"][:, 0] = 0
        batch["valid"][:, 1] = False
        batch["valid"][:, 2] = True
        batch["teacher_depth"][:2] = np.nan
        batch["teacher_depth"][2:] = 1
        return batch

    data, read = cached(1.0, steps_per_epoch=3, change=change)
    check_teacher_sign(config, data, None)
    assert read == [0, 1, 2]


def write_folder(root):
    """Images whose right half is farther, with a teacher's maps of disparity."""
    columns = np.arange(32)[np.newaxis].repeat(32, axis=0)
    entries = []
    for kind in ("images", "teacher"):
        (root / kind).mkdir(parents=True)
    for number in range(8):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
            root / f"images/{number}.png"
        )
        Image.fromarray((60000 // (columns + 1)).astype(np.uint16)).save(root / f"teacher/{number}.png")
        points = np.int32([[[number, 28], [30, 3 + number]]])
        entries.append(ImagePairs(f"images/{number}.png", points, np.int32([1]), (32, 32), 0))
    for split in ("train", "test"):
        write_pairs(root / f"pairs_{split}.csv", entries)


def test_maps_of_disparity_are_refused_unless_they_are_turned(config, tmp_path):
    write_folder(tmp_path / "data")
    override(config, "data", {"source": "folder", "root": str(tmp_path / "data"), "height": 32, "width": 32})
    config.teacher.maps = True
    with pytest.raises(
        UserError, match=r"orders 8 of 8 training pairs the wrong way.*`config\.teacher\.inverted=True`"
    ):
        train.prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    config.teacher.inverted = True
    train.prepare(config, tmp_path / "run")
    assert (tmp_path / "run" / "config.json").exists()
    config.loss.terms, config.teacher.inverted = "ranking", False  # learns nothing from the maps
    train.prepare(config, tmp_path / "other")


@pytest.mark.usefixtures("optax_promotes")
def test_encdecresnet_trains_a_student(config, tmp_path, monkeypatch):
    config.model.heads = 0
    narrow(monkeypatch)
    for module in (depthwise, layers):
        monkeypatch.setattr(module, "default_implementation", lambda: "lax")
    config.teacher.run = str(tmp_path / "narrow.npz")
    write_checkpoint(config.teacher.run)
    teacher = open_teacher(config)

    def batches(start):
        for step in itertools.count(start):
            depth = np.asarray(teacher(random_batch(step)["image"]).depth)
            yield {key: value for key, value in labeled_batch(step, depth).items() if key != "teacher_depth"}

    data = Data(batches, 2, EvalSet(lambda: [random_batch(1000)]))
    check_teacher_sign(config, data, teacher)
    config.train.update({"epochs": 1, "log_every": 1})
    objective = Objective(parse_terms("ranking+pixelwise+pairwise"), heads=0)
    model = build_model(config.model, rngs=nnx.Rngs(0))
    before = nnx.state(model, nnx.Param)["decoder"]["predict"]["kernel"][...].copy()
    trainer = Trainer(config=config, workdir=tmp_path / "run", model=model, objective=objective, data=data,
                      teacher=teacher)  # fmt: skip
    result = trainer.run()
    assert result.finished
    assert all(record["loss/pairwise"] > 0 for record in result.records if "total" in record)
    assert not np.array_equal(before, trainer.state.params["decoder"]["predict"]["kernel"][...])
    config.teacher.inverted = True
    with pytest.raises(UserError, match="wrong way round"):
        check_teacher_sign(config, data, open_teacher(config))
