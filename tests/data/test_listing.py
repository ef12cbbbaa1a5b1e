import pytest

from mdepth_jax.data.listing import find_images, scan_list
from mdepth_jax.errors import UserError


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images/b").mkdir(parents=True)
    for name in ("1.jpg", "2.PNG", "b/3.v2.jpeg", "notes.md"):
        (tmp_path / "images" / name).write_bytes(b"x")
    return tmp_path / "images"


def test_images_are_named_by_their_path_without_suffix(images):
    assert find_images(images) == {
        "1": images / "1.jpg", "2": images / "2.PNG", "b/3.v2": images / "b/3.v2.jpeg",
    }  # fmt: skip


def test_images_that_share_a_name(images):
    (images / "1.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"1\.png: shares its name and depth map with 1\.jpg"):
        find_images(images)


def test_folder_without_images(images):
    (images / "none").mkdir()
    for name in ("none", "missing"):
        with pytest.raises(UserError, match="holds no images"):
            find_images(images / name)


def test_names_in_a_list_may_have_a_suffix(images, tmp_path):
    (tmp_path / "train.txt").write_text("b/3.v2\n\n 1.jpg\n")
    listed, problems = scan_list(tmp_path / "train.txt", find_images(images))
    assert listed == {1: images / "b/3.v2.jpeg", 3: images / "1.jpg"}
    assert not problems


def test_errors_in_a_list_name_their_lines(images, tmp_path):
    (tmp_path / "train.txt").write_text("1\n9\n1.jpg\n2\n")
    listed, problems = scan_list(tmp_path / "train.txt", find_images(images))
    assert list(listed) == [1, 4]
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in problems] == [
        "train.txt:2: there is no image '9'; add it or remove the line",
        "train.txt:3: '1.jpg' is in line 1 already; remove one of them",
    ]


def test_empty_and_missing_lists(images, tmp_path):
    (tmp_path / "train.txt").write_text("\n")
    listed, [problem] = scan_list(tmp_path / "train.txt", find_images(images))
    assert not listed
    assert "train.txt:1: names no images" in str(problem)
    with pytest.raises(UserError, match=r"test\.txt: no such file"):
        scan_list(tmp_path / "test.txt", {})
