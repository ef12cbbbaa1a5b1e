import errno
import os

import h5py
import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.write import BUILDERS, write_records
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError

MAPS = Maps(depth=0.001)


@pytest.fixture
def folder(tmp_path):
    """Two images with depth maps for each split, as pairs and as lists."""
    rng = np.random.default_rng(0)
    for kind in ("images", "depth"):
        (tmp_path / "raw" / kind).mkdir(parents=True)
    for split in ("train", "test"):
        entries = []
        for name in (f"{split}_0", f"{split}_1"):
            image = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
            depth = rng.integers(500, 9999, (20, 30), dtype=np.uint16)
            Image.fromarray(image).save(tmp_path / f"raw/images/{name}.png")
            Image.fromarray(depth).save(tmp_path / f"raw/depth/{name}.png")
            points = np.array([[[1, 2], [3, 4]]], np.int32)
            entries.append(ImagePairs(f"images/{name}.png", points, np.array([1], np.int32), (20, 30), 0))
        write_pairs(tmp_path / f"raw/pairs_{split}.csv", entries)
        (tmp_path / f"raw/{split}.txt").write_text(f"{split}_0\n{split}_1\n")
    return tmp_path / "raw"


def test_records_of_pairs(folder, tmp_path, capsys):
    write_records("pairs", folder, tmp_path / "out")
    assert "train: 2 images" in capsys.readouterr().out
    records = open_source(tmp_path / "out", "train", maps=MAPS)
    np.testing.assert_array_equal(records[1]["depth"], open_source(folder, "train", maps=MAPS)[1]["depth"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pairs"]


def test_invalid_entries_are_listed(folder, tmp_path, capsys):
    with (folder / "pairs_train.csv").open("a") as file:
        file.write("images/none.png\n1,1,2,2,<,30,20\n")
    with pytest.raises(UserError, match=r"pairs_train\.csv:6: .*no such file"):
        write_records("pairs", folder, tmp_path / "out")
    write_records("pairs", folder, tmp_path / "again", skip_invalid=True)
    assert "left out: 1 entries" in capsys.readouterr().out
    assert (tmp_path / "again/invalid.txt").read_text().startswith(f"{folder}/pairs_train.csv:6: ")


def test_drawn_pairs_are_in_the_records_and_in_a_csv(folder, tmp_path):
    write_records("folder", folder, tmp_path / "out", drawing=PairDrawing(4))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "depth_folder", "pairs_test.csv", "pairs_train.csv",
    ]  # fmt: skip
    records = open_source(tmp_path / "out", "test", maps=MAPS)
    csv = open_source(tmp_path / "out/pairs_test.csv", root=folder)
    assert len(records) == len(csv) == 2
    for index in range(2):
        for key in ("image", "points", "relation"):
            np.testing.assert_array_equal(records[index][key], csv[index][key])
        y, x = np.moveaxis(csv[index]["points"], -1, 0)
        a, b = records[index]["depth"][y, x].T
        assert len(a) == 4
        assert (np.maximum(a, b) > 1.1 * np.minimum(a, b)).all()
        np.testing.assert_array_equal(csv[index]["relation"], np.sign(a - b))


def test_drawn_pairs_follow_the_seed_and_the_ratio(folder, tmp_path):
    for name, options in {"a": {}, "b": {}, "c": {"seed": 1}, "d": {"min_ratio": 2.0}}.items():
        write_records("folder", folder, tmp_path / name, drawing=PairDrawing(4, **options))
    a, b, c = ((tmp_path / name / "pairs_train.csv").read_text() for name in "abc")
    assert a == b
    assert a != c
    source = open_source(tmp_path / "d", "train", maps=MAPS)
    for index in range(2):
        y, x = np.moveaxis(source[index]["points"], -1, 0)
        depth = source[index]["depth"][y, x]
        assert (depth.max(1) > 2 * depth.min(1)).all()


def test_images_from_an_archive_lie_next_to_the_drawn_pairs(tmp_path):
    (tmp_path / "mannequin/test").mkdir(parents=True)
    image, depth = np.zeros((18, 32, 3), np.uint8), np.arange(1, 33, dtype=np.float32) * np.ones((18, 1), np.float32)
    with h5py.File(tmp_path / "mannequin/test/0.h5", "w") as file:
        file["gt/img"], file["gt/mvs_depth"] = image, depth
    write_records("mannequin", tmp_path / "mannequin", tmp_path / "out", drawing=PairDrawing(2))
    example = open_source(tmp_path / "out/pairs_test.csv")[0]
    np.testing.assert_array_equal(example["image"], image)
    x = example["points"][..., 1]
    np.testing.assert_array_equal(example["relation"], np.sign(x[:, 0] - x[:, 1]))


def test_pairs_are_not_drawn_for_a_set_that_has_pairs(folder, tmp_path):
    for dataset in ("pairs", "diw"):
        with pytest.raises(UserError, match=f"`pairs_per_image`: {dataset} has pairs of its own"):
            write_records(dataset, folder, tmp_path / "out", drawing=PairDrawing(1))


def test_missing_and_empty_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        with pytest.raises(UserError, match=f"{name}: no such folder, or an empty one"):
            write_records("pairs", tmp_path / name, tmp_path / "out")


def test_a_full_disk_is_an_os_error(folder, tmp_path, monkeypatch):
    def fail(self, **options):
        raise RuntimeError(f"writer: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(BUILDERS["pairs"], "download_and_prepare", fail)
    with pytest.raises(OSError, match=str(tmp_path / "out")) as error:
        write_records("pairs", folder, tmp_path / "out")
    assert error.value.errno == errno.ENOSPC
