import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.files import read_json, write_whole


def test_broken_json_names_its_line(tmp_path):
    path = tmp_path / "environment.json"
    path.write_text('[{"started": "then"},\n')
    with pytest.raises(UserError, match=r"environment\.json:2: not valid JSON"):
        read_json(path)


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "search.json"
    for text in ("old", "new"):
        write_whole(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
