import os
import signal
import stat
import subprocess
import sys

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path, read_json, write_bytes, write_csv, write_json, write_text


def test_broken_json_names_its_line(tmp_path):
    path = tmp_path / "environment.json"
    path.write_text('[{"started": "then"},\n')
    with pytest.raises(UserError, match=r"environment\.json:2: not valid JSON"):
        read_json(path)


def test_json_is_read_as_utf8(tmp_path):
    write_text(tmp_path / "a.json", '{"name": "Müller"}')
    assert read_json(tmp_path / "a.json") == {"name": "Müller"}


def test_json_is_read_as_it_was_written(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2.5], "a": None})
    assert read_json(tmp_path / "a.json") == {"b": [1, 2.5], "a": None}
    assert (tmp_path / "a.json").read_text().endswith("}\n")


def test_rows_of_a_csv_may_lack_columns(tmp_path):
    write_csv(tmp_path / "a.csv", iter([{"a": 1, "b": "x,y"}, {"c": 2}]))
    assert (tmp_path / "a.csv").read_bytes() == b'a,b,c\r\n1,"x,y",\r\n,,2\r\n'


def test_the_new_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "search.json"
    for text in ("old", "new\r\nlines\n"):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    write_bytes(path, b"\0\n")
    assert path.read_bytes() == b"\0\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("old")

    def interrupted():
        with atomic_path(path) as temporary:
            assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_keeps_the_old_file(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("old")
    script = f"""
import os, pathlib, signal
from mdepth_jax.files import atomic_path
with atomic_path(pathlib.Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder/target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder/target").read_text() == "new"


def test_a_pipe_is_written_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("name", ["folder.tflite", "file/m.tflite"])
def test_places_that_cannot_be_written(tmp_path, name):
    (tmp_path / "folder.tflite").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), atomic_path(tmp_path / name):
        pass
    assert (tmp_path / "folder.tflite").is_dir()


def test_missing_folders_are_created(tmp_path):
    write_text(tmp_path / "a/b/c.txt", "text")
    assert (tmp_path / "a/b/c.txt").read_text() == "text"
