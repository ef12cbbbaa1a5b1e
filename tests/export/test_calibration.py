import numpy as np
import pytest
from PIL import Image

from mdepth_jax import prepare
from mdepth_jax.data.images import read_image, resize_image
from mdepth_jax.errors import UserError
from mdepth_jax.export.calibration import (
    RENDERED,
    ImageSet,
    open_images,
    read_folder,
    read_training_images,
    render_images,
)
from mdepth_jax.training.config import overlay


def test_images_of_a_folder_are_spread_over_it(tmp_path):
    (tmp_path / "below").mkdir()
    for code in range(10):
        Image.new("RGB", (20, 10), (code, 0, 0)).save(tmp_path / "below" / f"{code}.png")
    images = read_folder(tmp_path, 32, 64, 4)
    assert [image[0, 0, 0] for image in images] == [0, 3, 6, 9]
    assert {image.shape for image in images} == {(32, 64, 3)}
    assert len(read_folder(tmp_path, 32, 64, 100)) == 10


def test_folders_without_images(tmp_path):
    with pytest.raises(UserError, match="holds no images"):
        read_folder(tmp_path, 32, 64, 4)
    with pytest.raises(UserError, match="no such folder"):
        read_folder(tmp_path / "none", 32, 64, 4)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"a\.png: not an image"):
        read_folder(tmp_path, 32, 64, 4)


def test_images_of_a_run_are_those_of_its_training(tmp_path):
    prepare.main(["scenes", "--output", str(tmp_path), "--count", "6"])
    first = read_image(next(iter(sorted((tmp_path / "images").glob("train/*")) or [*(tmp_path / "images").iterdir()])))
    config = overlay(data={"root": str(tmp_path)}, teacher={"maps": True})
    images = read_training_images(config, 32, 64, 3)
    assert len(images) == 3
    assert any((image == resize_image(first, 32, 64)).all() for image in read_training_images(config, 32, 64, 100))
    assert (config.data.height, config.teacher.maps) == (224, True)


def test_images_of_a_run_on_scenes():
    config = overlay(data={"source": "scenes", "count": 4, "eval_count": 1})
    assert [image.shape for image in read_training_images(config, 32, 64, 2)] == [(32, 64, 3)] * 2


def test_data_of_a_run_that_is_gone(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read_training_images(overlay(data={"root": str(tmp_path / "gone")}), 32, 64, 2)


def test_render_images_are_always_the_same():
    np.testing.assert_array_equal(render_images(32, 64, 2), render_images(32, 64, 2))


def test_origin_of_the_images(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    config = overlay(data={"root": str(tmp_path / "gone"), "height": 32, "width": 64})
    assert open_images(config, tmp_path, 4, allow_rendered=False).origin == str(tmp_path)
    assert open_images(config, None, 4, allow_rendered=True).origin == RENDERED
    with pytest.raises(UserError, match=r"cannot be opened \(.*gone: no such file.*\); give `calibration=FOLDER`"):
        open_images(config, None, 4, allow_rendered=False)
    scenes = overlay(data={"source": "scenes", "count": 2, "eval_count": 1, "height": 32, "width": 64})
    own = open_images(scenes, None, 4, allow_rendered=False)
    assert own.origin == "training data of the run"
    assert [image.shape for image in own.images] == [(32, 64, 3)] * 2


def test_thinned_out_images_are_spread():
    images = [np.full((1, 1, 3), code, np.uint8) for code in range(10)]
    assert [image[0, 0, 0] for image in ImageSet(images, "").thin_out(4).images] == [0, 3, 6, 9]
    assert ImageSet(images, "").thin_out(32).images == images
