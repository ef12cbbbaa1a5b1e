import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.redweb import Redweb
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError


@pytest.fixture
def folder(tmp_path, ramp):
    for kind in ("Imgs", "RDs"):
        (tmp_path / "redweb/ReDWeb_V1" / kind).mkdir(parents=True)
    for number in range(3):
        image, depth = ramp(20, 30 + number, number)
        if number == 1:
            depth[:, :2] = 0
        Image.fromarray(image).save(tmp_path / f"redweb/ReDWeb_V1/Imgs/{number}.jpg")
        Image.fromarray(depth).save(tmp_path / f"redweb/ReDWeb_V1/RDs/{number}.png")
    return tmp_path / "redweb"


@pytest.mark.parametrize("below", ["", "ReDWeb_V1"])
def test_every_pixel_is_known_and_the_order_is_kept(folder, prepare, below):
    _, output = prepare(Redweb, folder / below)
    source = open_source(output, "train", maps=Maps(depth=1 / 256))
    assert len(source) == 3
    for number in range(3):
        codes = np.asarray(Image.open(folder / f"ReDWeb_V1/RDs/{number}.png"))
        np.testing.assert_array_equal(source[number]["depth"], np.where(codes == 0, np.float32(1 / 256), codes))
        np.testing.assert_array_equal(
            source[number]["image"], np.asarray(Image.open(folder / f"ReDWeb_V1/Imgs/{number}.jpg"))
        )


def damage(folder, kind):
    maps = folder / "ReDWeb_V1/RDs"
    if kind == "missing":
        (maps / "1.png").unlink()
    elif kind == "size":
        Image.new("L", (30, 20), 9).save(maps / "1.png")
    elif kind == "zero":
        Image.new("L", (31, 20)).save(maps / "1.png")
    elif kind == "bits":
        Image.fromarray(np.arange(620, dtype=np.uint16).reshape(20, 31)).save(maps / "1.png")
    elif kind == "extensions":
        Image.new("RGB", (31, 20)).save(folder / "ReDWeb_V1/Imgs/1.png")
    elif kind == "layout":
        maps.rename(folder / "ReDWeb_V1/depths")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"Imgs/1\.jpg: has no depth map .*RDs/1\.png"),
        ("size", r"Imgs/1\.jpg: depth map is 30x20 but the image 31x20"),
        ("zero", r"RDs/1\.png: is 0 everywhere"),
        ("bits", r"RDs/1\.png: has codes above 255"),
        ("extensions", r"Imgs/1\.png: shares its name and depth map with 1\.jpg"),
        ("layout", r"redweb: holds no ReDWeb_V1/Imgs/ and ReDWeb_V1/RDs/; Ask the authors"),
    ],
)
def test_invalid_data_sets(folder, prepare, kind, message):
    damage(folder, kind)
    with pytest.raises(UserError, match=message) as error:
        prepare(Redweb, folder)
    assert "\n" not in str(error.value)
