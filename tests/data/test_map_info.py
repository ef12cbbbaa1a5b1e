import json

import pytest

from mdepth_jax.data.map_info import DEFAULT_SCALE, MapInfo, choose_scale, parse_map_info, read_map_info
from mdepth_jax.errors import UserError


def test_a_folder_without_the_file_is_unknown(tmp_path):
    assert read_map_info(tmp_path) == MapInfo()
    assert not MapInfo().is_relative


def test_the_file_is_read_and_its_other_keys_are_for_people(tmp_path):
    (tmp_path / "about.json").write_text(
        json.dumps({"meaning": "inverse relative depth", "map_scale": 2, "networks": [{"file": "a.onnx"}]})
    )
    info = read_map_info(tmp_path)
    assert info == MapInfo("inverse relative depth", 2.0)
    assert info.is_relative
    assert info.is_inverse


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "must be an object"),
        ({"map_scale": 1}, "'meaning' is None; it must be one of 'depth in meters', 'relative depth'"),
        ({"meaning": "disparity", "map_scale": 1}, "'meaning' is 'disparity'"),
        ({"meaning": "relative depth"}, "'map_scale' is None; it must be a positive number"),
        ({"meaning": "relative depth", "map_scale": 0}, "'map_scale' is 0"),
        ({"meaning": "relative depth", "map_scale": True}, "'map_scale' is True"),
    ],
)
def test_invalid_files(values, message):
    with pytest.raises(UserError, match=f"about.json: .*{message}"):
        parse_map_info(values, "about.json")


def test_the_unit_comes_from_the_folder():
    info = MapInfo("depth in meters", 0.01)
    assert choose_scale(info, 0.0, "teacher") == 0.01
    assert choose_scale(info, 0.01, "teacher") == 0.01
    assert choose_scale(MapInfo(), 0.0, "teacher") == DEFAULT_SCALE
    assert choose_scale(MapInfo(), 0.5, "teacher") == 0.5
    with pytest.raises(UserError, match=r"teacher/about\.json: .*0\.01, but `config\.data\.map_scale=0\.02`"):
        choose_scale(info, 0.02, "teacher")
