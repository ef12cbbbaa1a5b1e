import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.nyuv2 import Nyuv2
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError

METERS = Maps(depth=0.001)


def frame(number):
    """A smooth 480x640 image, and depth in meters that grows to the right."""
    y, x = np.indices((480, 640))
    image = np.stack([x // 3, y // 2, np.full_like(x, 20 * number)], axis=-1).astype(np.uint8)
    return image, ((x + 100) * (number + 1) * 0.004).astype(np.float32)


@pytest.fixture
def labeled(tmp_path):
    """The official files with three frames; the second one is for the test."""
    folder = tmp_path / "nyu"
    folder.mkdir()
    frames = [frame(number) for number in range(3)]
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.stack([image.T for image, _ in frames])
        file["depths"] = np.stack([depth.T for _, depth in frames])
    scipy.io.savemat(folder / "splits.mat", {"trainNdxs": np.array([[1], [3]]), "testNdxs": np.array([[2]])})
    return folder


def test_official_files(labeled, prepare):
    _, output = prepare(Nyuv2, labeled, drawing=PairDrawing(40))
    for split, numbers in (("train", [0, 2]), ("test", [1])):
        source = open_source(output, split, maps=METERS)
        assert len(source) == len(numbers)
        for index, number in enumerate(numbers):
            image, depth = frame(number)
            example = source[index]
            np.testing.assert_array_equal(example["image"], image)
            np.testing.assert_allclose(example["depth"], depth, atol=6e-4)
            assert len(example["relation"]) == 40
            y, x = np.moveaxis(example["points"], -1, 0)
            assert (y.min() >= 45) & (y.max() <= 470) & (x.min() >= 41) & (x.max() <= 600)
            np.testing.assert_array_equal(example["relation"], np.sign(x[:, 0] - x[:, 1]))


def test_lists_may_replace_the_split_file(labeled, prepare):
    (labeled / "splits.mat").unlink()
    with pytest.raises(UserError, match=r"holds neither splits\.mat nor train\.txt"):
        prepare(Nyuv2, labeled)
    (labeled / "train.txt").write_text("0000\n0002\n")
    (labeled / "test.txt").write_text("0003\n")
    with pytest.raises(UserError, match=r"the split 'test' does not fit the 3 frames"):
        prepare(Nyuv2, labeled)
    (labeled / "test.txt").write_text("images/0001.png\n")
    with pytest.raises(UserError, match="must hold frame indices from 0"):
        prepare(Nyuv2, labeled)
    (labeled / "test.txt").write_text("0001\n")
    _, output = prepare(Nyuv2, labeled)
    np.testing.assert_array_equal(open_source(output, "test")[0]["image"], frame(1)[0])


def test_damaged_official_files(labeled, prepare):
    mat = labeled / "nyu_depth_v2_labeled.mat"
    (labeled / "splits.mat").write_bytes(b"MATLAB")
    with pytest.raises(UserError, match=r"splits\.mat: not the official split"):
        prepare(Nyuv2, labeled)
    scipy.io.savemat(labeled / "splits.mat", {"trainNdxs": np.array([[1]]), "testNdxs": np.array([[2]])})
    with h5py.File(mat, "a") as file:
        file["depths"][0, 5, 5] = np.nan
    with pytest.raises(UserError, match=r"images/0000\.png: depth is negative or not finite"):
        prepare(Nyuv2, labeled)
    with h5py.File(mat, "a") as file:
        del file["depths"]
        file["depths"] = np.ones((3, 320, 240), np.float32)
    with pytest.raises(UserError, match=r"labeled\.mat: images \(3, 3, 640, 480\) and depths \(3, 320, 240\)"):
        prepare(Nyuv2, labeled)
    with h5py.File(mat, "a") as file:
        del file["depths"]
    with pytest.raises(UserError, match=r"labeled\.mat: holds no depths"):
        prepare(Nyuv2, labeled)
    mat.write_bytes(mat.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged or truncated HDF5"):
        prepare(Nyuv2, labeled)


def test_folder_of_frames(tmp_path, prepare):
    folder = tmp_path / "frames"
    with pytest.raises(UserError, match=r"holds no nyu_depth_v2_labeled\.mat and no train\.txt; Get nyu"):
        Nyuv2(data_dir=tmp_path / "out").open_splits(folder)
    for kind in ("images", "depth"):
        (folder / kind).mkdir(parents=True)
    for number in range(2):
        image, depth = frame(number)
        Image.fromarray(image).save(folder / f"images/{number:04d}.jpg")
        Image.fromarray((depth * 25).astype(np.uint8)).save(folder / f"depth/{number:04d}.png")
    (folder / "train.txt").write_text("0000\n")
    (folder / "test.txt").write_text("0001\n")
    _, output = prepare(Nyuv2, folder, drawing=PairDrawing(10))
    example = open_source(output, "test", maps=Maps(depth=0.04))[0]
    np.testing.assert_allclose(example["depth"], frame(1)[1], atol=0.041)
    assert len(example["relation"]) == 10
    Image.new("RGB", (320, 240)).save(folder / "images/0001.jpg")
    with pytest.raises(UserError, match=r"images/0001\.jpg: is 320x240, not 640x480 as published"):
        Nyuv2(data_dir=tmp_path / "out").open_splits(folder)["test"].load_checked(0)
