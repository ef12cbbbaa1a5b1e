from mdepth_jax.files import write_whole


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "search.json"
    for text in ("old", "new"):
        write_whole(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
