import csv

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path, read_json, write_csv, write_whole


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


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "m.tflite"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"complete")
        assert not path.exists()
    assert path.read_bytes() == b"complete"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"earlier")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise UserError("too inaccurate")

    with pytest.raises(UserError, match="too inaccurate"):
        fail()
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["folder.tflite", "file/m.tflite"])
def test_places_that_cannot_be_written(tmp_path, name):
    (tmp_path / "folder.tflite").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), atomic_path(tmp_path / name):
        pass


def test_rows_of_a_table_may_lack_columns(tmp_path):
    write_csv(tmp_path / "table.csv", [{"layer": "a, b", "width": 8}, {"layer": "c", "score": 0.5}])
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["layer", "width", "score"], ["a, b", "8", ""], ["c", "", "0.5"]]
