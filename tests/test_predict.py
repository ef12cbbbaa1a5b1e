import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mdepth_jax
from mdepth_jax import predict
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.inference.network import Network
from mdepth_jax.models import Header
from mdepth_jax.training.config import overlay
from tests.inference.saved import save_mean, save_run

SIZES = {"a": (40, 50), "b": (20, 90), "room/c": (32, 64)}


@pytest.fixture
def main(monkeypatch):
    """The command line with a network that predicts the brightness, of which no depth comes below 1."""
    config = overlay(data={"height": 32, "width": 64, "log": 200.0})
    brightness = Network(
        Path("run"), lambda images: images.mean(-1, keepdims=True, dtype=np.float32), config, Header(), ""
    )
    monkeypatch.setattr(predict, "open_network", lambda path, **options: brightness)
    return lambda *arguments: predict.main(["--model", "run", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        file = path / "images" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file)
    return path


@pytest.mark.parametrize("kind", ["run", "safetensors", "tflite", "name"])
def test_python_and_the_command_line_agree_to_the_last_digit(kind, folder, tmp_path, capsys):
    match kind:
        case "run":
            model = save_run(tmp_path / "run")
        case "safetensors":
            model = save_run(tmp_path / "run") / "model.safetensors"
        case "tflite":
            model = save_mean(tmp_path / "mean.tflite")
        case "name":
            model = "embedded"
    network = mdepth_jax.load(model)
    images = str(folder / "images")
    assert predict.main(["--model", str(model), images, "--output", str(tmp_path / "out"), "--npy"]) == 0
    for name, size in SIZES.items():
        depth = np.load(tmp_path / f"out/{name}.npy")
        assert (depth.shape, depth.dtype) == (size, np.float32)
        np.testing.assert_array_equal(network.predict(folder / "images" / f"{name}.png"), depth)
    size = f"{network.info.width}x{network.info.height}"
    assert f"3 predictions at {size} in {tmp_path / 'out'}, " in capsys.readouterr().out
    description = json.loads((tmp_path / "out/depth.json").read_text())
    assert description == {"meaning": network.info.meaning, "model": str(model)}


def test_16_bit_maps_are_a_teachers(folder, main, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "images").symlink_to(folder / "images")
    (data / "train.txt").write_text("a\nroom/c\n")
    assert main(data / "images", "--output", data / "teacher", "--raw16", "--npy") == 0
    source = open_source(data, "train", maps=Maps(teacher_depth=0.001))
    for example, name in zip(source, ("a", "room/c"), strict=True):
        assert example["teacher_depth"].shape == SIZES[name]
        np.testing.assert_allclose(example["teacher_depth"], np.load(data / f"teacher/{name}.npy"), atol=0.00051)


def test_color_maps_are_the_default(folder, main, tmp_path):
    assert main(folder / "images/a.png", "--output", tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_color.png", "depth.json"]


def test_files_that_cannot_be_read_are_listed_at_the_end(folder, main, tmp_path, capsys):
    broken = tmp_path / "in"
    broken.mkdir()
    (broken / "0.png").write_bytes((folder / "images/a.png").read_bytes())
    (broken / "1.png").write_bytes(b"")
    assert main(broken, "--output", tmp_path / "out") == 1
    first, last = capsys.readouterr().err.splitlines()[-2:]
    assert first.startswith(f"{broken / '1.png'}: the file is empty")
    assert last == "1 of 2 files could not be read"


def test_notes_name_flags(folder, main, tmp_path, capsys):
    assert main(folder / "images/a.png", "--output", tmp_path, "--raw16", "--scale", "0.00001") == 0
    assert "note: 1 predictions have depth from" in (text := capsys.readouterr().out)
    assert "choose another --offset or --scale" in text


def test_images_are_never_overwritten(folder, main):
    with pytest.raises(UserError, match=r"`output` is .*images, where images are read"):
        main(folder / "images", "--output", folder / "images/out")


@pytest.mark.parametrize(("flags", "message"), [
    (["--ply"], "`ply` needs `fov`"),
    (["--ply", "--fov", "180"], r"`fov` is 180\.0"),
    (["--scale", "0"], r"`scale` is 0\.0"),
])  # fmt: skip
def test_wrong_values(flags, message, main, folder, tmp_path):
    with pytest.raises(UserError, match=message):
        main(folder / "images", "--output", tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()
