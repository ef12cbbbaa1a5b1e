import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.inference.inputs import find_inputs


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b/a.png", "b/c.PNG", "notes.txt", "film.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def test_files_folders_and_patterns(folder):
    assert find_inputs([f"{folder}"]) == {
        "a": folder / "a.jpg", "b/a": folder / "b/a.png", "b/c": folder / "b/c.PNG",
    }  # fmt: skip
    assert find_inputs([f"{folder}/a.jpg", f"{folder}/film.mp4"]) == {
        "a": folder / "a.jpg", "film": folder / "film.mp4",
    }  # fmt: skip
    assert find_inputs([f"{folder}/*"]) == {"a": folder / "a.jpg", "film": folder / "film.mp4"}
    assert find_inputs([f"{folder}/a.jpg", f"{folder}/a*"]) == {"a": folder / "a.jpg"}
    # A file that is named is taken whatever it is called.
    assert find_inputs([f"{folder}/notes.txt"]) == {"notes": folder / "notes.txt"}


@pytest.mark.parametrize(("patterns", "message"), [
    (["none.jpg"], r"none\.jpg: no such file"),
    (["*.gif"], r"\*\.gif: no such file"),
    (["**/a.*"], "several files of one name"),
    (["a.jpg", "b/a.png"], "shares its name"),
])  # fmt: skip
def test_mistakes(folder, patterns, message):
    with pytest.raises(UserError, match=message):
        find_inputs([f"{folder}/{pattern}" for pattern in patterns])
