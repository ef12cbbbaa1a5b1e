import pytest

from mdepth_jax.data.about import KNOWN_SETS, parse_about, read_about, write_about
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.errors import UserError

MINE = DataSetInfo(name="my rooms", terms="CC BY 4.0", reference="https://example.org")


def test_a_folder_without_the_file_is_unknown(tmp_path):
    folder = tmp_path / "nyuv2"
    folder.mkdir()
    assert read_about(folder) == DataSetInfo()
    write_about(folder, DataSetInfo())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("info", [MINE, KNOWN_SETS["redweb"]])
def test_round_trip(tmp_path, info):
    write_about(tmp_path, info)
    assert read_about(tmp_path / "missing", tmp_path) == info


def test_a_key_stands_for_name_and_terms():
    assert parse_about({"key": "diw"}, "f") == KNOWN_SETS["diw"]
    changed = parse_about({"key": "diw", "terms": "by agreement"}, "f")
    assert (changed.name, changed.terms) == (KNOWN_SETS["diw"].name, "by agreement")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"name": "a", "licence": "b"}', r"about\.json: key 'licence' is unknown; use some of key, name, terms"),
        ('{"name": 3}', r"about\.json: key 'name' is 3; it must be a string"),
        ('{"key": "kitti"}', r"about\.json: key 'key' is 'kitti'; choose from scenes, nyuv2, diw"),
        ('{"terms": "CC0"}', r"about\.json: key 'name' is missing"),
        ("[]", r"about\.json: must be an object"),
        ('{"name"', r"about\.json:1: not valid JSON"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path, content, message):
    (tmp_path / "about.json").write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_about(tmp_path)
    assert "\n" not in str(error.value)


def test_every_known_set_has_terms():
    for key, info in KNOWN_SETS.items():
        assert info.key == key
        assert all((info.name, info.terms, info.reference))
