import json

import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.images import read_image, read_map
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.errors import UserError
from mdepth_jax.inference import depth_files
from mdepth_jax.inference.depth_files import DepthWriter
from mdepth_jax.inference.predictor import Picture
from mdepth_jax.plots import DepthRange, colorize


def picture(height, width, name="a"):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(name, (height, width), image, image)


def test_depth_codes():
    depth = np.array([[0.0004, 0.0006, 1.2344], [70.0, -3.0, np.nan]], np.float32)
    np.testing.assert_array_equal(depth_files.depth_codes(depth, 0.001), [[1, 1, 1234], [65535, 1, 0]])
    np.testing.assert_array_equal(depth_files.depth_codes(depth, 0.01, offset=5.0), [[500, 500, 623], [7500, 200, 0]])


def test_maps_are_a_teachers(tmp_path):
    """Maps in `teacher/` are read as the teacher's depth, by the scale in `depth.json`."""
    name = "images/room/one.jpg"
    (tmp_path / "images/room").mkdir(parents=True)
    Image.fromarray(picture(30, 40).image).save(tmp_path / name)
    prediction = np.random.default_rng(1).uniform(0, 4, (8, 16)).astype(np.float32)
    writer = DepthWriter(output=tmp_path / "teacher", kinds=["raw16", "npy"], log=2.0, scale=0.0005)
    low, high = writer.write(picture(30, 40, "room/one"), prediction)
    writer.write_description("RUN")
    about = json.loads((tmp_path / "teacher/depth.json").read_text())
    source = ImageFolder(tmp_path, maps=Maps(teacher_depth=about["16-bit codes"]["scale"]))
    depth = np.load(tmp_path / "teacher/room/one.npy")
    np.testing.assert_allclose(source[0]["teacher_depth"], depth, atol=0.00026)
    assert (low, high) == (depth.min(), depth.max())
    assert depth.min() >= np.exp(prediction.min() / 2) - 1e-6
    assert "larger = farther" in about["meaning"]


def test_a_prediction_is_resized_with_half_pixel_centers(tmp_path):
    writer = DepthWriter(output=tmp_path, kinds=["npy"])
    writer.write(picture(2, 4), np.array([[1.0, 2.0]], np.float32))
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), [[1, 1.25, 1.75, 2]] * 2)


def test_pictures(tmp_path):
    """The image is dark on the left, where its depth is near and so the color map bright."""
    depth = np.tile(np.linspace(1, 9, 40, dtype=np.float32), (30, 1))
    image = np.repeat((depth * 25).astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    one = Picture("a", (30, 40), image, image)
    DepthWriter(output=tmp_path, kinds=["color", "side_by_side"]).write(one, depth)
    colors = read_image(tmp_path / "a_color.png")
    np.testing.assert_array_equal(colors, colorize(depth))
    both = read_image(tmp_path / "a_side_by_side.jpg").astype(int)
    assert both.shape == (30, 80, 3)
    away = np.abs(both - np.concatenate([image, colors], axis=1))
    assert away.mean() < 5  # JPEG
    assert len(list(tmp_path.iterdir())) == 2


def test_depth_beyond_16_bits_is_noted(tmp_path):
    ranges = [DepthRange(0.5, 2.0), DepthRange(-3.0, 1.0), DepthRange(1.0, 80.0)]
    for kinds, count in ((["raw16"], 1), (["ply"], 2), (["color"], 0)):
        notes = list(DepthWriter(output=tmp_path, kinds=kinds, fov=60.0).notes(ranges))
        assert len(notes) == count
    (note,) = DepthWriter(output=tmp_path, kinds=["raw16"]).notes(ranges)
    assert note.startswith("2 predictions have depth from -3 to 80, beyond the 0.001 to 65.53 that")
    assert not list(DepthWriter(output=tmp_path, kinds=["raw16"], offset=3.5).notes([DepthRange(-3.0, 5.0)]))


def test_point_cloud(tmp_path):
    """Every point projects back to its pixel, and a plane across the view is one."""
    one = picture(3, 5)
    depth = np.full((3, 5), 2.0, np.float32)
    depth[0, 0] = -1
    depth_files.write_point_cloud(tmp_path / "a.ply", one.image, depth, fov=90.0, meaning="depth in meters")
    header, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert b"comment depth in meters\n" in header
    assert b"element vertex 14\n" in header
    points = np.frombuffer(body, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    np.testing.assert_array_equal(points["rgb"], one.image.reshape(-1, 3)[1:])
    np.testing.assert_array_equal(points["xyz"][:, 2], -2)
    # At 90 degrees the image is twice as wide as it is far.
    columns = (points["xyz"][:, 0] / 2 + 1) * 2.5 - 0.5
    rows = 1.5 - points["xyz"][:, 1] / 2 * 2.5 - 0.5
    grid = np.stack(np.meshgrid(np.arange(3), np.arange(5), indexing="ij"), -1).reshape(-1, 2)[1:]
    np.testing.assert_allclose(np.stack([rows, columns], -1), grid, atol=1e-5)


def test_sixteen_bits_are_sixteen(tmp_path):
    depth = np.linspace(1, 60, 12, dtype=np.float32).reshape(3, 4)
    DepthWriter(output=tmp_path, kinds=["raw16"]).write(picture(3, 4), depth)
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), np.round(depth * 1000))


@pytest.mark.parametrize("kinds", [["raw16"], ["side_by_side"], ["ply", "npy"]])
def test_all_files_are_announced(tmp_path, kinds):
    writer = DepthWriter(output=tmp_path, kinds=kinds, fov=60.0)
    writer.write(picture(3, 4, "b/c"), np.ones((3, 4), np.float32))
    assert {path for path in tmp_path.rglob("*") if path.is_file()} <= set(writer.files("b/c"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, r"`scale` is 0\.0; it must be positive"),
        ({"fov": 0.0}, r"`fov` is 0\.0; it must be more than 0 and less than 180"),
        ({"fov": 180.0}, r"`fov` is 180\.0"),
        ({"kinds": ["ply"]}, "`ply` needs `fov`"),
    ],
)
def test_wrong_settings(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        DepthWriter(**{"output": tmp_path, "kinds": ["npy"], **options})
