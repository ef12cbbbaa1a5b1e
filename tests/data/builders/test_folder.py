import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.folder import DepthFolder
from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError

DEPTH = Maps(depth=0.1)


@pytest.fixture
def folder(tmp_path, ramp):
    """Four images of different sizes with depth; two are listed for training, one for the test."""
    for kind in ("images", "depth"):
        (tmp_path / "raw" / kind).mkdir(parents=True)
    for number in range(4):
        image, depth = ramp(20 + number, 30, number)
        Image.fromarray(image).save(tmp_path / f"raw/images/{number}.jpg")
        Image.fromarray(depth).save(tmp_path / f"raw/depth/{number}.png")
    (tmp_path / "raw/train.txt").write_text("2\n0\n")
    (tmp_path / "raw/test.txt").write_text("3\n")
    return tmp_path / "raw"


def test_records_equal_the_folder(folder, prepare):
    _, output = prepare(DepthFolder, folder)
    for split, count in (("train", 2), ("test", 1)):
        records, raw = (open_source(path, split, maps=DEPTH) for path in (output, folder))
        assert len(records) == len(raw) == count
        assert records.max_pairs == raw.max_pairs == 0
        for index in range(count):
            for key, value in raw[index].items():
                np.testing.assert_array_equal(records[index][key], value)
    assert open_source(output, "train", maps=DEPTH)[0]["depth"].shape == (22, 30)


def test_without_lists_all_images_are_for_training(folder, prepare):
    for file in folder.glob("*.txt"):
        file.unlink()
    _, output = prepare(DepthFolder, folder)
    assert len(open_source(output, "train")) == 4
    assert len(open_source(output, "train[:75%]")) == 3
    np.testing.assert_array_equal(
        open_source(output, "train[75%:]")[0]["image"], open_source(output, "train")[3]["image"]
    )


def test_drawn_pairs_agree_with_the_depth(folder, prepare):
    _, output = prepare(DepthFolder, folder, drawing=PairDrawing(5))
    source = open_source(output, "train", maps=DEPTH)
    assert source.max_pairs == 5
    for index in range(2):
        example = source[index]
        y, x = np.moveaxis(example["points"], -1, 0)
        np.testing.assert_array_equal(example["relation"], np.sign(np.subtract(*example["depth"][y, x].T)))
        assert len(example["relation"]) == 5


def test_invalid_entries_are_raised_or_left_out(folder, prepare):
    (folder / "depth/0.png").unlink()
    (folder / "train.txt").write_text("2\n9\n0\n1\n")
    with pytest.raises(UserError, match=r"train\.txt:2: there is no image '9'"):
        prepare(DepthFolder, folder)
    builder, output = prepare(DepthFolder, folder, skip_invalid=True)
    assert len(open_source(output, "train")) == 2
    assert [str(problem).split(";")[0] for problem in builder.problems] == [
        f"{folder}/train.txt:2: there is no image '9'",
        f"{folder}/images/0.jpg: has no depth map {folder}/depth/0.png",
    ]


def test_the_error_describes_the_layout_in_one_line(tmp_path, prepare):
    (tmp_path / "raw/images").mkdir(parents=True)
    with pytest.raises(UserError, match=r"raw: holds no images/ and depth/; A folder with images/<name>") as error:
        prepare(DepthFolder, tmp_path / "raw")
    assert "\n" not in str(error.value)
