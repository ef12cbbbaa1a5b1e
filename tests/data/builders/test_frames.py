import numpy as np
import pytest

from mdepth_jax.data.builders.frames import DepthFrames, Frame, FrameFiles, PairDrawing, load_frame
from mdepth_jax.data.images import encode
from mdepth_jax.errors import UserError

IMAGE = np.zeros((8, 12, 3), np.uint8)
DEPTH = np.linspace(1, 9, 12, dtype=np.float32)[np.newaxis].repeat(8, axis=0)


def frames(*depths, **options):
    entries = [Frame(f"{number}.png", encode(IMAGE), encode(depth)) for number, depth in enumerate(depths)]
    return DepthFrames("set", entries, lambda frame: frame, **options)


def changed(value):
    depth = DEPTH.copy()
    depth[2, 3] = value
    return depth


def test_a_valid_frame_is_unchanged():
    for depth in (DEPTH, changed(0), (DEPTH * 100).astype(np.uint16), DEPTH.astype(np.uint8)):
        raw = frames(depth).load_checked(0)
        assert (raw["name"], raw["image"], raw["depth"]) == ("0.png", encode(IMAGE), encode(depth))
        assert raw["points"].shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (DEPTH[:, :-1], "depth map is 11x8 but the image 12x8"),
        (DEPTH.T, "is 8x12 but the image 12x8"),
        (changed(np.nan), "not finite"),
        (changed(np.inf), "not finite"),
        (changed(-0.5), "negative values, down to -0.5"),
        (np.zeros_like(DEPTH), "0 everywhere"),
        (np.zeros((8, 12), np.uint16), "0 everywhere"),
        (IMAGE, "must be a gr.y PNG"),
    ],
)
def test_invalid_depth_is_named_in_one_line(depth, reason):
    with pytest.raises(UserError, match=reason) as error:
        frames(DEPTH, depth).load_checked(1)
    assert str(error.value).startswith("set: 1.png: depth map")
    assert "\n" not in str(error.value)


def test_frames_of_another_size_than_published():
    assert frames(DEPTH, size=(8, 12)).load_checked(0)
    with pytest.raises(UserError, match=r"set: 0\.png: is 12x8, not 640x480 as published"):
        frames(DEPTH, size=(480, 640)).load_checked(0)


def test_pairs_are_a_function_of_seed_and_name_and_stay_in_the_crop():
    unknown = DEPTH.copy()
    unknown[:, ::2] = 0
    crop = slice(2, 6), slice(1, 9)
    options = {"drawing": PairDrawing(20, 1.2), "crop": crop}
    raws = [frames(DEPTH, unknown, **options).load_checked(number) for number in (0, 1)]
    for raw, depth in zip(raws, (DEPTH, unknown), strict=True):
        y, x = np.moveaxis(raw["points"], -1, 0)
        assert len(raw["relation"]) >= 10
        assert y.min() >= 2
        assert y.max() < 6
        assert x.min() >= 1
        assert x.max() < 9
        a, b = depth[y, x].T
        assert (np.minimum(a, b) > 0).all()
        assert (np.maximum(a, b) > 1.2 * np.minimum(a, b)).all()
        np.testing.assert_array_equal(raw["relation"], np.sign(a - b))
    again = frames(DEPTH, **options).load_checked(0)
    np.testing.assert_array_equal(again["points"], raws[0]["points"])
    other = frames(DEPTH, drawing=PairDrawing(20, 1.2, seed=1), crop=crop).load_checked(0)
    assert other["points"].shape != raws[0]["points"].shape or (other["points"] != raws[0]["points"]).any()


def test_a_frame_of_two_files(tmp_path):
    files = FrameFiles(tmp_path, "images/1.png", tmp_path / "depth/1.png")
    for kind, content in (("images", b"image"), ("depth", b"map")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.png").write_bytes(content)
    assert load_frame(files) == Frame("images/1.png", b"image", b"map")
    (tmp_path / "depth/1.png").unlink()
    with pytest.raises(UserError, match=r"images/1\.png: has no depth map .*depth/1\.png"):
        load_frame(files)
