import numpy as np
import pytest
from PIL import Image

from mdepth_jax import gallery
from mdepth_jax.data.images import read_image
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError
from mdepth_jax.inference.predictor import Predictor

ROWS, COLUMNS = 20, 30


@pytest.fixture
def folder(tmp_path):
    """Images that get brighter to the right, with the pair (left, right): in every second one the right is nearer."""
    (tmp_path / "images").mkdir()
    image = np.tile(np.linspace(0, 250, COLUMNS).astype(np.uint8)[:, np.newaxis], (ROWS, 1, 3))
    entries = []
    for number in range(4):
        Image.fromarray(image).save(tmp_path / f"images/{number}.png")
        points = np.array([[[10, 2], [10, 9 + 5 * number]], [[3, 4], [3, 5]]], np.int32)
        relation = np.array([1 if number % 2 else -1, -1], np.int32)
        entries.append(ImagePairs(f"images/{number}.png", points, relation, (ROWS, COLUMNS), 0))
    write_pairs(tmp_path / "pairs_test.csv", entries)
    return tmp_path


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """Bright is far."""

    predictor = Predictor(lambda images: images[..., 0].astype(np.float32), ROWS, COLUMNS, 3, "depth")
    monkeypatch.setattr(gallery, "load_predictor", lambda path: predictor)


def test_worst_pair():
    depth = np.tile(np.arange(100, dtype=np.float32), (10, 1))
    points = np.array([[[1, 10], [1, 20]], [[2, 50], [2, 10]], [[0, 5], [0, 5]], [[0, 5], [0, 8]]], np.int32)

    def worst(*relation):
        return gallery.worst_pair(7, depth, points, np.array(relation, np.int32))

    failure = worst(1, -1, 0, 0)
    np.testing.assert_array_equal(failure.points, points[1])
    assert (failure.image, failure.relation) == (7, -1)
    assert failure.error == pytest.approx(40 / (0.96 * 99))
    assert worst(1, 1, 0, -1).relation == 1
    assert worst(-1, 1, 0, -1) is None
    np.testing.assert_array_equal(worst(-1, 1, 1, -1).points, points[2])  # a tie that should be none
    np.testing.assert_array_equal(worst(-1, 1, 0, 0).points, points[3])  # no tie, though it should be one
    assert gallery.worst_pair(0, depth, points[:0], np.zeros(0, np.int32)) is None


def test_failures(folder, monkeypatch):
    drawn = []
    save = gallery.plots.save_failures
    monkeypatch.setattr(gallery.plots, "save_failures", lambda *args: (drawn.extend(args[1]), save(*args)))
    arguments = ["failures", "--model", "run", "--pairs", str(folder / "pairs_test.csv")]
    assert gallery.main([*arguments, "--output", str(folder / "new/failures.png")]) == 0
    assert [failure.image for failure in drawn] == [3, 1]
    assert read_image(folder / "new/failures.png").shape[0] == 2 * 352
    drawn.clear()
    gallery.main([*arguments, "--output", str(folder / "one.png"), "--count", "1"])
    assert [failure.image for failure in drawn] == [3]


def test_no_failures(folder):
    text = (folder / "pairs_test.csv").read_text()
    (folder / "pairs_test.csv").write_text(text.replace(">", "<"))
    with pytest.raises(UserError, match="nothing to draw"):
        gallery.main(["failures", "--model", "run", "--pairs", str(folder / "pairs_test.csv"), "--output",
                      str(folder / "failures.png")])  # fmt: skip


def test_photographs(folder, capsys):
    output = folder / "grid.png"
    assert gallery.main(["photographs", str(folder / "images"), "--models", "a", "b", "--output", str(output)]) == 0
    assert read_image(output).shape == (4 * 264, 3 * 330, 3)
    assert capsys.readouterr().out == f"{output}\n"
