import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.onnx_network import OnnxNetwork
from mdepth_jax.data.builders.teacher_presets import NetworkFormat
from mdepth_jax.data.builders.teacher_sign import check_sign
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.errors import UserError
from tests.data.builders.networks import write_network

DEPTH = NetworkFormat()
INVERSE = NetworkFormat(meaning="inverse relative depth")


@pytest.fixture
def source(tmp_path):
    """Images that are bright at the top, where it is farther by the pairs."""
    (tmp_path / "data/images").mkdir(parents=True)
    entries = []
    for number in range(4):
        shade = np.linspace(200, 20, 16).astype(np.uint8)[:, np.newaxis, np.newaxis]
        Image.fromarray(np.broadcast_to(shade, (16, 24, 3)).copy()).save(tmp_path / f"data/images/{number}.png")
        points = np.int32([[[1, 3], [13, 20]], [[12, 2], [2, 2]]])
        entries.append(ImagePairs(f"images/{number}.png", points, np.int32([1, -1]), (16, 24), 0))
    write_pairs(tmp_path / "data/pairs_train.csv", entries)
    return tmp_path / "data"


def test_the_right_sign_passes_and_the_wrong_one_is_refused(source, tmp_path):
    path = write_network(tmp_path / "brightness.onnx")
    check_sign(OnnxNetwork(path, DEPTH), source)
    with pytest.raises(UserError, match=r"orders 8 of 8 pairs .* as inverse relative depth; leave out `inverse`"):
        check_sign(OnnxNetwork(path, INVERSE), source)
    darkness = write_network(tmp_path / "darkness.onnx", weights=(-1, -1, -1))
    check_sign(OnnxNetwork(darkness, INVERSE), source)
    with pytest.raises(UserError, match="as relative depth; add `inverse`"):
        check_sign(OnnxNetwork(darkness, DEPTH), source)


def test_too_few_pairs_and_ties_decide_nothing(source, tmp_path):
    darkness = OnnxNetwork(write_network(tmp_path / "darkness.onnx", weights=(-1, -1, -1)), DEPTH)
    lines = (source / "pairs_train.csv").read_text().splitlines(keepends=True)
    (source / "pairs_train.csv").write_text("".join(lines[:4]))
    check_sign(darkness, source)
    (source / "pairs_train.csv").unlink()
    check_sign(darkness, source)


def test_training_pairs_come_first_and_damaged_images_are_left_out(source, tmp_path):
    (source / "pairs_test.csv").write_text((source / "pairs_train.csv").read_text().replace(">", "?"))
    text = (source / "pairs_train.csv").read_text()
    (source / "aa.csv").write_text(text.replace(">", "x").replace("<", ">").replace("x", "<"))
    (source / "images/0.png").write_bytes(b"")
    check_sign(OnnxNetwork(write_network(tmp_path / "brightness.onnx"), DEPTH), source)
