from pathlib import Path

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
    """Bright is far."""
    config = overlay(data={"height": ROWS, "width": COLUMNS})
    network = Network(Path("run"), lambda images: images[..., :1].astype(np.float32), config, Header(), "")
    monkeypatch.setattr(gallery, "open_network", lambda path: network)


def test_failures(folder):
    arguments = ["failures", "--model", "run", "--pairs", str(folder / "pairs_test.csv")]
    assert gallery.main([*arguments, "--output", str(folder / "new/failures.png")]) == 0
    assert read_image(folder / "new/failures.png").shape[0] == 2 * 352
    gallery.main([*arguments, "--output", str(folder / "one.png"), "--count", "1"])
    assert read_image(folder / "one.png").shape[0] == 352


def test_no_failures(folder):
    text = (folder / "pairs_test.csv").read_text()
    (folder / "pairs_test.csv").write_text(text.replace(">", "<"))
    arguments = ["failures", "--model", "run", "--pairs", str(folder / "pairs_test.csv"), "--output"]
    with pytest.raises(UserError, match="nothing to draw"):
        gallery.main([*arguments, str(folder / "failures.png")])
    with pytest.raises(UserError, match="`count` is 0"):
        gallery.main([*arguments, str(folder / "failures.png"), "--count", "0"])


def test_photographs(folder, capsys):
    output = folder / "grid.png"
    assert gallery.main(["photographs", str(folder / "images"), "--models", "a", "b", "--output", str(output)]) == 0
    assert read_image(output).shape == (4 * 264, 3 * 330, 3)
    assert capsys.readouterr().out == f"{output}\n"
