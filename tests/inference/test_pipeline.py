from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.images import read_image, read_map, resize_image, resize_map
from mdepth_jax.errors import UserError
from mdepth_jax.inference.depth_files import DepthWriter
from mdepth_jax.inference.inputs import find_inputs
from mdepth_jax.inference.pipeline import RunningLimits, check_output, predict_files
from mdepth_jax.inference.predictor import Predictor
from mdepth_jax.inference.video import VideoWriter, open_video
from mdepth_jax.plots import DepthRange

SIZES = {"a": (40, 50), "b": (20, 90), "room/c": (32, 64)}
PREDICTOR = Predictor(lambda images: images.astype(np.float32).mean(-1), 32, 64, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, size in SIZES.items():
        file = path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file)
    return path


def predict(writer, *patterns):
    return predict_files(PREDICTOR, writer, find_inputs([str(pattern) for pattern in patterns]))


def test_every_image_gets_its_own_prediction(folder, tmp_path):
    """Three sizes in batches of two."""
    outcome = predict(DepthWriter(output=tmp_path, kinds=["npy"]), folder)
    assert not outcome.failures
    for (name, size), written in zip(SIZES.items(), outcome.ranges, strict=True):
        small = resize_image(read_image(folder / f"{name}.png"), 32, 64).astype(np.float32).mean(-1)
        depth = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(depth, resize_map(small, *size))
        assert written == (depth.min(), depth.max())


def test_images_of_every_kind(tmp_path):
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(random.integers(0, 256, (20, 30, 4), dtype=np.uint8)).save(folder / "alpha.png")
    Image.fromarray(random.integers(0, 256, (20, 30), dtype=np.uint8)).save(folder / "gray.png")
    Image.fromarray(random.integers(0, 65536, (20, 30), dtype=np.uint16)).save(folder / "deep.png")
    writer = DepthWriter(output=tmp_path / "out", kinds=["color", "side_by_side", "ply"], fov=60.0)
    assert not predict(writer, f"{folder}/*").failures
    assert read_image(tmp_path / "out/turned_color.png").shape == (30, 20, 3)
    for name in ("alpha", "gray", "deep"):
        assert read_image(tmp_path / f"out/{name}_side_by_side.jpg").shape == (20, 60, 3)
        assert (tmp_path / f"out/{name}.ply").stat().st_size > 20 * 30 * 15


def test_files_that_cannot_be_read_do_not_stop_the_others(folder, tmp_path):
    broken = tmp_path / "in"
    broken.mkdir()
    good = (folder / "a.png").read_bytes()
    for number in range(5):
        (broken / f"{number}.png").write_bytes(good)
    (broken / "1.png").write_bytes(good[: len(good) // 2])
    (broken / "3.png").write_bytes(b"")
    (broken / "film.mp4").write_bytes(good[100:])
    outcome = predict(DepthWriter(output=tmp_path / "out", kinds=["color"]), broken, broken / "film.mp4")
    assert [str(error).split(":")[0] for error in outcome.failures] == [
        str(broken / name) for name in ("1.png", "3.png", "film.mp4")
    ]
    assert len(outcome.ranges) == len(list((tmp_path / "out").glob("*_color.png"))) == 3


def brighter_side(frame):
    return "right" if np.diff(frame.astype(int).mean((0, 2))).sum() > 0 else "left"


def test_a_video_becomes_videos_and_a_map_for_each_frame(tmp_path):
    """The last two of five frames are mirrored; what is brighter is farther, so darker in the color map."""
    ramp = np.tile(np.linspace(0, 250, 60).astype(np.uint8)[:, np.newaxis], (40, 1, 3))
    video = VideoWriter(tmp_path / "film.mp4", Fraction(10), 40, 60)
    for number in range(5):
        video.write(ramp if number < 3 else np.ascontiguousarray(ramp[:, ::-1]))
    video.close()
    writer = DepthWriter(output=tmp_path / "out", kinds=["color", "side_by_side", "raw16"])
    assert len(predict(writer, tmp_path / "film.mp4").ranges) == 5
    for kind, width in {"color": 60, "side_by_side": 120}.items():
        video = open_video(tmp_path / f"out/film_{kind}.mp4")
        frames = list(video.frames)
        assert [frame.shape for frame in frames] == [(40, width, 3)] * 5
        assert [brighter_side(frame[:, -60:]) for frame in frames] == ["left"] * 3 + ["right"] * 2
        if kind == "side_by_side":
            assert [brighter_side(frame[:, :60]) for frame in frames] == ["right"] * 3 + ["left"] * 2
        assert video.rate == 10
    maps = sorted((tmp_path / "out/film").iterdir())
    assert [path.name for path in maps] == [f"{number:06d}.png" for number in range(5)]
    sides = [brighter_side(read_map(path)[..., np.newaxis]) for path in maps]
    assert sides == ["right"] * 3 + ["left"] * 2


@pytest.mark.parametrize(("inputs", "output", "message"), [
    ("", "out", "where images are read"),
    ("", "", "where images are read"),
    ("a.png", "", r"a\.png would be overwritten"),
])  # fmt: skip
def test_images_are_never_overwritten(folder, inputs, output, message):
    path = folder / inputs
    writer = DepthWriter(output=folder / output, kinds=["raw16"])
    with pytest.raises(UserError, match=message):
        check_output(writer, find_inputs([str(path)]), [path] if path.is_dir() else [])


def test_other_places_are_free(folder, tmp_path):
    inputs = find_inputs([str(folder)])
    check_output(DepthWriter(output=tmp_path, kinds=["raw16"]), inputs, [folder])
    check_output(DepthWriter(output=folder, kinds=["color"]), {"a": folder / "a.png"}, [])


def test_running_limits_follow_slowly():
    limits = RunningLimits()
    assert limits.update(DepthRange(1.0, 5.0)) == (1, 5)
    random = np.random.default_rng(0)
    noisy = [DepthRange(1 + jump, 5 + jump) for jump in random.normal(size=200)]
    painted = np.array([limits.update(frame) for frame in noisy])
    assert np.abs(np.diff(painted[:, 0])).mean() < 0.1 * np.abs(np.diff([frame.low for frame in noisy])).mean()
    for _ in range(200):
        last = limits.update(DepthRange(3.0, 9.0))
    assert last == pytest.approx((3, 9), abs=1e-3)
