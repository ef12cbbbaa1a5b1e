import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data import loading
from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.loading import Concatenation, batch_spec
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.sources.folders import ImageFolder, PairsFolder
from mdepth_jax.data.types import DataSetInfo, WantedMaps
from mdepth_jax.errors import UserError
from mdepth_jax.training.config import overlay
from mdepth_jax.training.terms import wanted_maps

AUGMENTATION = {"scale": 1.5, "rotation": 5.0, "crop": "random", "flip": True, "jitter": 0.4, "sampled_pairs": 30}


@pytest.fixture
def folder(tmp_path, ramp):
    """Four images with one pair and depth, for training and the test."""
    for kind in ("images", "depth"):
        (tmp_path / kind).mkdir()
    points = np.array([[[5, 2], [5, 57]]], np.int32)
    entries = []
    for number in range(4):
        image, depth = ramp(40, 60, number)
        Image.fromarray(image).save(tmp_path / f"images/{number}.png")
        Image.fromarray(depth).save(tmp_path / f"depth/{number}.png")
        entries.append(ImagePairs(f"images/{number}.png", points, -np.ones(1, np.int32), (40, 60), 0))
    for split in ("train", "test"):
        write_pairs(tmp_path / f"pairs_{split}.csv", entries)
    return tmp_path


def config(folder, **data):
    size = {"height": 16, "width": 20, "batch_size": 2}
    return overlay(data={"root": str(folder)} | size | data, loss={"terms": "ranking"})


def open_data(config):
    return loading.open_data(config, wanted_maps(config))


def test_every_key_of_the_augmentation_reaches_the_batches(folder):
    spec = batch_spec(config(folder, **AUGMENTATION), WantedMaps())
    assert {key: getattr(spec, key) for key in AUGMENTATION} == AUGMENTATION
    data, _ = open_data(config(folder, **AUGMENTATION))
    batch = next(data.train(0))
    assert batch["points"].shape == (2, 30, 2, 2)
    assert batch["valid"].all()
    assert "depth" not in batch
    a, b = np.moveaxis(batch["points"][..., 1], -1, 0)
    turned = np.sign(a - b) * batch["relation"]  # depth grows with the column, or falls where the image is mirrored
    for row in turned:
        assert abs(row.sum()) > 0.8 * np.abs(row).sum()
    held_out = next(iter(data.test.batches()))
    np.testing.assert_array_equal(held_out["image_size"], [[40, 60]] * 2)
    assert held_out["valid"].shape == (2, 1)
    assert held_out["valid"].all()  # a crop would lose the pairs in the outer 5 of 60 columns
    assert data.test.depth_batches is None


def test_pairs_are_judged_on_whole_images_and_depth_in_the_middle(folder):
    cropped = config(folder, crop="center")
    cropped.train.best_by = "rmse"
    data, _ = open_data(cropped)
    np.testing.assert_array_equal(next(iter(data.test.batches()))["image_size"], [[40, 60]] * 2)
    np.testing.assert_array_equal(next(iter(data.test.depth_batches()))["image_size"], [[40, 50]] * 2)
    assert next(data.test.truths()).shape == (40, 50)
    for split in ("train", "test"):
        (folder / f"pairs_{split}.csv").unlink()
        (folder / f"{split}.txt").write_text("0\n1\n")
    cropped.loss.terms = "l1"
    data, _ = open_data(cropped)
    np.testing.assert_array_equal(next(iter(data.test.batches()))["image_size"], [[40, 50]] * 2)
    assert data.test.depth_batches is None


def test_concatenation(folder):
    labelled, unlabelled = PairsFolder(folder / "pairs_train.csv"), ImageFolder(folder)
    both = Concatenation(unlabelled, labelled)
    assert (len(both), both.max_pairs) == (8, 1)
    assert [len(both[index]["relation"]) for index in range(8)] == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(both[5]["image"], labelled[1]["image"])


def test_splits_may_be_files_elsewhere(folder, tmp_path_factory):
    lists = tmp_path_factory.mktemp("lists")
    files = {
        split: str(folder.joinpath(f"pairs_{split}.csv").rename(lists / f"{split}.csv")) for split in ("train", "test")
    }
    data, _ = open_data(config(folder, train=files["train"], eval=files["test"]))
    assert next(data.train(0))["valid"].all()
    with pytest.raises(UserError, match=r"a file is one set, .* `config\.data\.train=FILE\.csv`"):
        open_data(config(files["train"]))


def test_a_teacher_that_knows_the_training_images_alone(folder):
    (folder / "teacher").mkdir()
    learning = config(folder, eval="held_out")
    learning.teacher.maps, learning.loss.terms = True, "ranking+pixelwise"
    (folder / "images/4.png").write_bytes((folder / "images/0.png").read_bytes())
    (folder / "held_out.csv").write_text(
        (folder / "pairs_test.csv").read_text().split("images/1.png")[0].replace("0.png", "4.png")
    )
    with pytest.raises(UserError, match=r"teacher: holds no map .*`config\.teacher\.maps=False`"):
        open_data(learning)
    for number in range(4):
        (folder / f"teacher/{number}.png").write_bytes((folder / f"depth/{number}.png").read_bytes())
    data, supervision = open_data(learning)
    assert supervision.teacher_depth
    assert np.isfinite(next(data.train(0))["teacher_depth"]).all()
    assert np.isnan(next(iter(data.test.batches()))["teacher_depth"]).all()


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_meaning_of_the_teacher_maps_reaches_the_terms(folder, share):
    (folder / "teacher").mkdir()
    for number in range(4):
        (folder / f"teacher/{number}.png").write_bytes((folder / f"depth/{number}.png").read_bytes())
    learning = config(folder, val_share=share)
    learning.teacher.maps, learning.loss.terms = True, "ranking+affine"
    assert open_data(learning)[1].teacher_meanings == ("",)
    (folder / "teacher/about.json").write_text('{"meaning": "inverse relative depth", "map_scale": 0.01}')
    data, supervision = open_data(learning)
    assert supervision.teacher_meanings == ("inverse relative depth",)
    assert next(data.train(0))["teacher_depth"].max() < 0
    learning.teacher.inverted = True
    with pytest.raises(UserError, match=r"maps are inverse relative depth .*`config\.teacher\.inverted=False`"):
        open_data(learning)


def test_maps_that_do_not_fit_the_crop_are_found_out_before_training(folder):
    judged = config(folder, eval_crop="eigen")
    judged.train.best_by = "rmse"
    with pytest.raises(UserError, match=r"is 60x40, the crop is for 640x480; .*config\.data\.eval_crop=none"):
        open_data(judged)


def test_without_augmentation_pairs_are_the_labelled_ones(folder):
    data, _ = open_data(config(folder))
    batch = next(data.train(0))
    np.testing.assert_array_equal(batch["points"], [[[[1, 0], [1, 18]]]] * 2)
    held_out = next(iter(data.test.batches()))
    np.testing.assert_array_equal(held_out["points"], [[[[5, 2], [5, 57]]]] * 2)
    np.testing.assert_array_equal(held_out["image_size"], [[40, 60]] * 2)


def test_the_data_sets_of_a_run_are_named(folder, tmp_path_factory):
    photos = tmp_path_factory.mktemp("nyuv2")
    (photos / "images").symlink_to(folder / "images")
    (folder / "about.json").write_text('{"key": "redweb"}')
    data, _ = open_data(config(folder, unlabelled=str(photos)))
    assert data.train_sets == (KNOWN_SETS["redweb"], DataSetInfo(name=f"data in {photos.name}"))
    assert (data.test.info, data.test.split) == (KNOWN_SETS["redweb"], "test")


def test_a_part_of_the_training_images_is_held_out(folder):
    data, _ = open_data(config(folder, val_share=0.5))
    (held_out,) = data.val.batches()
    seen = [image for step in range(4) for image in next(data.train(step))["image"]]
    assert len(held_out["image"]) == 2
    assert not any(np.array_equal(image, other) for image in held_out["image"] for other in seen)
    assert (data.steps_per_epoch, data.val.split, data.test.split) == (1, "train (validation part)", "test")


def test_a_split_of_its_own_for_validation(folder):
    (folder / "pairs_select.csv").write_text((folder / "pairs_test.csv").read_text())
    data, _ = open_data(config(folder, val="select"))
    assert (data.steps_per_epoch, data.val.split) == (2, "select")


def test_nothing_is_held_out_of_few_images(folder):
    assert open_data(config(folder))[0].val is None


def test_scenes_for_validation_are_no_scenes_of_the_training_or_the_test():
    scenes = overlay(
        data={"source": "scenes", "count": 20, "eval_count": 2, "eval_pairs": 3, "height": 16, "width": 20},
        loss={"terms": "ranking"},
    )
    sources = loading.open_sources(scenes, WantedMaps())
    assert (len(sources.train), len(sources.val), len(sources.test)) == (20, 2, 2)
    images = [source[index]["image"].tobytes() for source in sources for index in range(2)]
    assert len(set(images)) == 6
    assert sources.val.max_pairs == 3


def test_a_validation_set_that_cannot_choose(folder):
    (folder / "plain.txt").write_text("0\n1\n2\n3\n")
    with pytest.raises(UserError, match=r"validation set has no ordinal pairs .*`config\.data\.val_share=0`"):
        open_data(config(folder, train="plain", val_share=0.5))
    with pytest.raises(UserError, match=r"test set has no ordinal pairs; .*`config\.data\.eval=SPLIT`"):
        open_data(config(folder, eval="plain"))
