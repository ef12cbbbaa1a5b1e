import numpy as np
import pytest
from PIL import Image

from mdepth_jax import gallery
from mdepth_jax.data.images import read_image
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError
from mdepth_jax.inference.network import Network
from mdepth_jax.models import Header
from mdepth_jax.training.config import overlay

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
    """Bright is far; for the network "reversed" bright is near."""
    config = overlay(data={"height": ROWS, "width": COLUMNS})

    def make_network(path):
        sign = -1 if path.name == "reversed" else 1
        return Network(path, lambda images: sign * images[..., :1].astype(np.float32), config, Header(), "")

    monkeypatch.setattr(gallery, "open_network", make_network)


def is_brighter_to_the_right(picture, rows, columns):
    """Compares the left and the right part of each of the equal cells of a picture."""
    cells = [np.split(row.astype(int), columns, axis=1) for row in np.split(picture, rows)]
    parts = [[np.array_split(cell[cell.shape[0] // 2], 4) for cell in row] for row in cells]
    return [[bool(right.sum() > left.sum()) for _, left, right, _ in row] for row in parts]


def test_failures(folder, figures):
    """The image gets brighter to the right, so its color map, in which near is bright, gets darker."""
    arguments = ["failures", "--model", "run", "--pairs", str(folder / "pairs_test.csv")]
    assert gallery.main([*arguments, "--output", str(folder / "new/failures.png")]) == 0
    picture = read_image(folder / "new/failures.png")
    assert picture.shape == (2 * 352, 880, 3)
    assert is_brighter_to_the_right(picture, 2, 2) == [[True, False]] * 2
    images, _, more_images, _ = figures["failures.png"].axes
    assert (images.get_title(), more_images.get_title()) == ("image 3: A is farther", "image 1: A is farther")
    gallery.main([*arguments, "--output", str(folder / "one.png"), "--count", "1"])
    np.testing.assert_array_equal(read_image(folder / "one.png").shape, [352, 880, 3])
    assert figures["one.png"].axes[0].get_title() == "image 3: A is farther"


def test_no_failures(folder):
    text = (folder / "pairs_test.csv").read_text()
    (folder / "pairs_test.csv").write_text(text.replace(">", "<"))
    arguments = ["failures", "--model", "run", "--pairs", str(folder / "pairs_test.csv"), "--output"]
    with pytest.raises(UserError, match="nothing to draw"):
        gallery.main([*arguments, str(folder / "failures.png")])
    with pytest.raises(UserError, match="`count` is 0"):
        gallery.main([*arguments, str(folder / "failures.png"), "--count", "0"])


def test_photographs(folder, capsys, figures):
    output = folder / "grid.png"
    models = "usual", "reversed"
    assert gallery.main(["photographs", str(folder / "images"), "--models", *models, "--output", str(output)]) == 0
    picture = read_image(output)
    assert picture.shape == (4 * 264, 3 * 330, 3)
    assert is_brighter_to_the_right(picture, 4, 3) == [[True, False, True]] * 4
    assert [axis.get_title() for axis in figures["grid.png"].axes[:3]] == ["image", *models]
    assert capsys.readouterr().out == f"{output}\n"
