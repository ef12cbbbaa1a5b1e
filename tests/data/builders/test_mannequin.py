import h5py
import numpy as np
import pytest

from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.mannequin import Mannequin
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError


def write(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"gt/{name}"] = array


@pytest.fixture
def folder(tmp_path, ramp):
    """Two frames of one clip for training, the second in the other names, and one for the test; depth of any scale."""
    for number, (split, image_name, depth_name, scale) in enumerate(
        (("train", "img", "mvs_depth", 0.013), ("train", "img_1", "gt_depth", 70.0), ("test", "img", "mvs_depth", 1.0))
    ):
        image, depth = ramp(18, 32, number)
        depth = depth.astype(np.float32) * np.float32(scale)
        depth[:5] = 0
        if image_name == "img_1":
            image = image.astype(np.float32) / 255
        write(tmp_path / f"mannequin/{split}/clip/{number}.h5", **{image_name: image, depth_name: depth})
    return tmp_path / "mannequin"


def test_frames_keep_their_depth(folder, prepare, ramp):
    builder, output = prepare(Mannequin, folder, drawing=PairDrawing(3))
    assert set(builder.info.splits) == {"train", "test"}
    source = open_source(output, "train", maps=Maps(depth=1.0))
    assert len(source) == 2
    for number, scale in enumerate((0.013, 70.0)):
        image, depth = ramp(18, 32, number)
        example = source[number]
        np.testing.assert_array_equal(example["image"], image)
        assert np.isnan(example["depth"][:5]).all()
        np.testing.assert_array_equal(example["depth"][5:], depth[5:].astype(np.float32) * np.float32(scale))
        assert len(example["relation"]) == 3
        assert (example["points"][..., 0] >= 5).all()


def damage(folder, kind):
    path = folder / "train/clip/0.h5"
    image, depth = np.zeros((18, 32, 3), np.uint8), np.ones((18, 32), np.float32)
    depth[0, 0] = {"nan": np.nan, "negative": -1}.get(kind, 1)
    if kind == "no depth":
        write(path, img=image)
    elif kind == "size":
        write(path, img=image, mvs_depth=depth[1:])
    elif kind == "axes":
        write(path, img=image[..., 0], mvs_depth=depth)
    elif kind == "empty mask":
        write(path, img=image, mvs_depth=depth * 0)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:600])
    elif kind == "poses alone":
        for file in folder.rglob("*.h5"):
            file.rename(file.with_suffix(".txt"))
    else:
        write(path, img=image, mvs_depth=depth)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", r"clip/0\.png: depth map holds values that are not finite"),
        ("negative", r"clip/0\.png: depth map holds negative values"),
        ("no depth", r"clip/0\.h5: holds no gt/mvs_depth or gt/gt_depth"),
        ("size", r"depth map is 32x17 but the image 32x18"),
        ("axes", r"clip/0\.h5: gt/img is \(18, 32\)"),
        ("empty mask", r"clip/0\.png: depth map is 0 everywhere"),
        ("truncated", r"clip/0\.h5: a missing, damaged or truncated HDF5 file"),
        ("poses alone", r"mannequin: holds no \.h5 in train/, validation/ or test/; MannequinChallenge\.tar"),
    ],
)
def test_invalid_data_sets(folder, prepare, kind, message):
    damage(folder, kind)
    with pytest.raises(UserError, match=message) as error:
        prepare(Mannequin, folder)
    assert "\n" not in str(error.value)
