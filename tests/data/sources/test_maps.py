from pathlib import Path

import numpy as np
import pytest

from mdepth_jax.data.images import encode
from mdepth_jax.data.map_info import MapInfo
from mdepth_jax.data.pairs import NO_PAIRS, ImagePairs
from mdepth_jax.data.sources.maps import NO_MAPS, Maps, decode_example, find_maps, map_path
from mdepth_jax.errors import UserError

IMAGE = np.zeros((4, 6, 3), np.uint8)
CODES = np.array([[0, 7]], np.uint8).repeat(4, 0).repeat(3, 1)


def raw(**encoded):
    points, relation = NO_PAIRS
    empty = {"depth": b"", "teacher_depth": b""}
    return {"name": "a.png", "image": encode(IMAGE), "points": points, "relation": relation} | empty | encoded


def entry(path):
    return ImagePairs(path, *NO_PAIRS, None, 0)


def test_code_0_is_unknown_and_the_others_are_scaled():
    example = decode_example(raw(depth=encode(CODES)), "list.csv:3", Maps(depth=0.5))
    assert np.isnan(example["depth"][:, :3]).all()
    np.testing.assert_array_equal(example["depth"][:, 3:], 3.5)
    assert example["depth"].dtype == np.float32


def test_only_selected_maps_are_decoded():
    both = raw(depth=encode(CODES), teacher_depth=b"damaged")
    assert "depth" not in decode_example(both, "", NO_MAPS)
    assert set(decode_example(both, "", Maps(depth=1.0))) == {"image", "points", "relation", "depth"}
    with pytest.raises(UserError, match=r"list\.csv:3: a\.png: teacher map: not an image"):
        decode_example(both, "list.csv:3", Maps(depth=1.0, teacher_depth=1.0))
    assert "depth" not in decode_example(raw(), "", Maps(depth=1.0))


def test_inverse_relative_depth_is_negated_and_has_its_own_unit():
    maps = Maps(teacher_depth=0.0).with_teacher(MapInfo("inverse relative depth", 0.25), "teacher")
    example = decode_example(raw(teacher_depth=encode(CODES)), "", maps)
    np.testing.assert_array_equal(example["teacher_depth"][:, 3:], -1.75)
    assert np.isnan(example["teacher_depth"][:, :3]).all()
    assert example["teacher_relative"]
    meters = Maps(teacher_depth=0.0).with_teacher(MapInfo("depth in meters", 0.25), "teacher")
    assert "teacher_relative" not in decode_example(raw(teacher_depth=encode(CODES)), "", meters)
    assert Maps().with_teacher(MapInfo("depth in meters", 0.25), "teacher") == Maps()


def test_needed_maps():
    assert [Maps(depth=1.0).needs(key) for key in ("depth", "teacher_depth")] == [True, False]
    assert Maps(teacher_depth=1.0).needs("teacher_depth")
    assert not Maps(teacher_depth=1.0, teacher_optional=True).needs("teacher_depth")


@pytest.mark.parametrize(
    ("image", "teacher"),
    [("images/a/b.jpg", "teacher/a/b.png"), ("images/b.v2.jpg", "teacher/b.v2.png"), ("b.jpg", "teacher/b.png")],
)
def test_path_of_a_map(image, teacher):
    assert map_path(Path("root"), entry(image), "teacher_depth") == Path("root") / teacher


def test_existing_maps_are_found_in_the_order_of_the_images(tmp_path):
    (tmp_path / "depth").mkdir()
    for name in "ab":
        (tmp_path / f"depth/{name}.png").touch()
    entries = [entry(f"images/{name}.jpg") for name in "bca"]
    assert [path.stem for path in find_maps(tmp_path, entries, "depth")] == ["b", "a"]
