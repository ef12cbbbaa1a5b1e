import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.sources.folders import ImageFolder, PairsFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.errors import UserError

BOTH = Maps(depth=0.5, teacher_depth=0.001)


@pytest.fixture
def folder(tmp_path):
    """Three 30x20 images with one, two and one pairs; depth of the same size, teacher maps of half of it."""
    rng = np.random.default_rng(0)
    entries = []
    for kind in ("images", "depth", "teacher"):
        (tmp_path / kind).mkdir()
    for number, pairs in enumerate((1, 2, 1)):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"images/{number}.png")
        Image.fromarray(rng.integers(0, 255, (20, 30), dtype=np.uint8)).save(tmp_path / f"depth/{number}.png")
        Image.fromarray(rng.integers(0, 9999, (10, 15), dtype=np.uint16)).save(tmp_path / f"teacher/{number}.png")
        points = rng.integers(0, 20, (pairs, 2, 2), dtype=np.int32)
        entries.append(ImagePairs(f"images/{number}.png", points, np.ones(pairs, np.int32), (20, 30), 0))
    write_pairs(tmp_path / "pairs_train.csv", entries)
    return tmp_path


def test_examples_of_a_folder(folder):
    source = PairsFolder(folder / "pairs_train.csv", maps=BOTH)
    assert (len(source), source.max_pairs) == (3, 2)
    example = source[1]
    np.testing.assert_array_equal(example["image"], np.asarray(Image.open(folder / "images/1.png")))
    codes = np.asarray(Image.open(folder / "depth/1.png"))
    np.testing.assert_allclose(example["depth"], np.where(codes == 0, np.nan, codes * 0.5), rtol=1e-6)
    codes = np.asarray(Image.open(folder / "teacher/1.png"))
    np.testing.assert_allclose(example["teacher_depth"], np.where(codes == 0, np.nan, codes * 1e-3), rtol=1e-6)
    assert set(PairsFolder(folder / "pairs_train.csv")[1]) == {"image", "points", "relation"}


def test_unlabeled_images(folder):
    source = ImageFolder(folder, maps=Maps(teacher_depth=0.001))
    assert (len(source), source.max_pairs) == (3, 0)
    example = source[2]
    assert example["points"].shape == (0, 2, 2)
    assert example["teacher_depth"].shape == (10, 15)


def test_size_that_contradicts_the_image(folder):
    Image.new("RGB", (20, 30)).save(folder / "images/1.png")
    with pytest.raises(UserError, match=r"pairs_train\.csv:4: images/1\.png is 20x30 but the CSV says 30x20"):
        PairsFolder(folder / "pairs_train.csv")[1]


def test_missing_and_damaged_images_name_the_line(folder):
    source = PairsFolder(folder / "pairs_train.csv", maps=BOTH)
    (folder / "teacher/0.png").write_bytes(b"")
    assert "teacher_depth" not in source[0]
    (folder / "teacher/1.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"pairs_train\.csv:4: images/1\.png: teacher map: not an image"):
        source[1]
    (folder / "images/1.png").unlink()
    with pytest.raises(UserError, match=r"pairs_train\.csv:4: .*no such file"):
        source[1]


def test_map_of_another_shape(folder):
    source = PairsFolder(folder / "pairs_train.csv", maps=BOTH)
    Image.fromarray(np.ones((7, 10), np.uint16)).save(folder / "teacher/0.png")  # 6.67 rows, rounded
    assert source[0]["teacher_depth"].shape == (7, 10)
    Image.fromarray(np.ones((15, 10), np.uint16)).save(folder / "teacher/0.png")
    with pytest.raises(UserError, match=r"pairs_train\.csv:2: .*teacher/0\.png is 10x15, not the shape of its 30x20"):
        source[0]


def test_maps_of_a_network_with_a_fixed_input(folder):
    for number in range(3):
        Image.fromarray(np.ones((16, 16), np.uint16)).save(folder / f"teacher/{number}.png")
    source = PairsFolder(folder / "pairs_train.csv", maps=BOTH)
    assert source[0]["teacher_depth"].shape == (16, 16)


def test_folder_without_any_map(folder):
    for path in (folder / "teacher").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="teacher: holds no map for any image"):
        PairsFolder(folder / "pairs_train.csv", maps=BOTH)
    with pytest.raises(UserError, match="holds no map"):
        PairsFolder(folder / "pairs_train.csv", folder / "images", maps=Maps(depth=1.0))
