import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mdepth_jax.data.builders.base import Pairs
from mdepth_jax.data.builders.diw import Diw
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.sources.folders import PairsFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.records import Records
from mdepth_jax.errors import UserError

DEPTH = Maps(depth=0.001)


@pytest.fixture
def folder(tmp_path):
    """Five images with one to five pairs and a depth map each, except for the test image."""
    source = tmp_path / "source"
    rng = np.random.default_rng(0)
    for kind in ("images", "depth"):
        (source / kind).mkdir(parents=True)
    entries = []
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(source / f"images/{number}.jpg")
        points = rng.integers(0, 20, (number + 1, 2, 2), dtype=np.int32)
        relation = rng.integers(-1, 2, number + 1, dtype=np.int32)
        entries.append(ImagePairs(f"images/{number}.jpg", points, relation, (20, 30), 0))
        if number < 5:
            Image.fromarray(rng.integers(0, 9999, (20, 30), dtype=np.uint16)).save(source / f"depth/{number}.png")
    write_pairs(source / "pairs_train.csv", entries[:5])
    write_pairs(source / "test.csv", entries[5:])
    return source


def prepare(builder, source):
    tfds.disable_progress_bar()
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=source))
    return builder


def test_records_equal_the_folder(folder, tmp_path):
    prepare(Pairs(data_dir=tmp_path / "out", file_format="array_record"), folder)
    records, raw = (
        open_source(tmp_path / "out", "train", maps=DEPTH),
        open_source(folder, "train", maps=DEPTH),
    )
    assert isinstance(records, Records)
    assert isinstance(raw, PairsFolder)
    assert len(records) == len(raw) == 5
    assert records.max_pairs == raw.max_pairs == 5
    for index in (4, 0, 2, 3, 1):
        assert records[index].keys() == raw[index].keys()
        for key, value in raw[index].items():
            assert records[index][key].dtype == value.dtype
            np.testing.assert_array_equal(records[index][key], value)
    assert len(open_source(tmp_path / "out", "test")) == 1


def test_records_name_what_is_missing(folder, tmp_path):
    prepare(Pairs(data_dir=tmp_path / "out", file_format="array_record"), folder)
    for part in ("train[:95", "train[:x%]"):
        with pytest.raises(UserError, match=r"is not a part of a split; write train\[:90%\]"):
            open_source(tmp_path / "out", part)
    with pytest.raises(UserError, match="no split 'val'; choose one of test, train"):
        open_source(tmp_path / "out", "val")
    with pytest.raises(UserError, match="'test' was prepared without maps in 'depth'"):
        open_source(tmp_path / "out", "test", maps=DEPTH)


def test_first_mistake_is_raised(folder, tmp_path):
    (folder / "images/3.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"pairs_train\.csv:14: images/3\.jpg: the file is empty"):
        prepare(Pairs(data_dir=tmp_path / "out", file_format="array_record"), folder)


def test_skip_invalid(folder, tmp_path):
    (folder / "images/3.jpg").write_bytes(b"")
    with (folder / "pairs_train.csv").open("a") as file:
        file.write("images/9.jpg\n1,2,3,4,>,30,20\nimages/0.jpg\n1,2,3,4,?,30,20\n")
    builder = Pairs(data_dir=tmp_path / "out", file_format="array_record", skip_invalid=True)
    prepare(builder, folder)
    assert len(open_source(tmp_path / "out", "train")) == 4
    assert [str(problem).split(": ")[0] for problem in builder.problems] == [
        f"{folder}/pairs_train.csv:{line}" for line in (34, 14, 32)
    ]


def test_not_one_good_entry(folder, tmp_path):
    (folder / "images/5.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"test\.csv: has no valid entry"):
        prepare(Pairs(data_dir=tmp_path / "out", file_format="array_record", skip_invalid=True), folder)


def test_folder_without_csv(tmp_path):
    (tmp_path / "in" / "images").mkdir(parents=True)
    with pytest.raises(UserError, match="holds no CSV of pairs"):
        prepare(Pairs(data_dir=tmp_path / "out", file_format="array_record"), tmp_path / "in")


@pytest.mark.parametrize(
    ("published", "splits"), [(["train", "val", "train_val", "test"], {"train", "val", "test"}),
                              (["train_val", "test"], {"train", "test"})],
)  # fmt: skip
def test_diw(published, splits, tmp_path):
    source = tmp_path / "diw"
    for kind in ("DIW_train_val", "DIW_test", "DIW_Annotations_splitted"):
        (source / kind).mkdir(parents=True)
    for split in published:
        kind = "test" if split == "test" else "train_val"
        Image.new("RGB", (30, 20)).save(source / f"DIW_{kind}/{split}.thumb", "jpeg")
        (source / f"DIW_Annotations_splitted/DIW_{split}.csv").write_text(
            f"./DIW_{kind}/{split}.thumb\n1,2,3,4,>,30,20\n"
        )
    builder = prepare(Diw(data_dir=tmp_path / "out", file_format="array_record"), source)
    assert set(builder.info.splits) == splits
    assert open_source(tmp_path / "out", "train")._records[0]["name"] == (
        b"DIW_train_val/train.thumb" if "train" in published else b"DIW_train_val/train_val.thumb"
    )
    example = open_source(tmp_path / "out", "test")[0]
    np.testing.assert_array_equal(example["points"], [[[0, 1], [2, 3]]])
    assert example["image"].shape == (20, 30, 3)
