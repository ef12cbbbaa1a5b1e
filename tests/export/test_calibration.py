import numpy as np
import pytest
from PIL import Image

from mdepth_jax import prepare
from mdepth_jax.data.images import read_image, resize_image
from mdepth_jax.errors import UserError
from mdepth_jax.export.calibration import images_of_folder, images_of_run, rendered_images
from mdepth_jax.training.config import overlay


def test_images_of_a_folder_are_spread_over_it(tmp_path):
    (tmp_path / "below").mkdir()
    for code in range(10):
        Image.new("RGB", (20, 10), (code, 0, 0)).save(tmp_path / "below" / f"{code}.png")
    images = images_of_folder(tmp_path, 32, 64, 4)
    assert [image[0, 0, 0] for image in images] == [0, 3, 6, 9]
    assert {image.shape for image in images} == {(32, 64, 3)}
    assert len(images_of_folder(tmp_path, 32, 64, 100)) == 10


def test_folders_without_images(tmp_path):
    with pytest.raises(UserError, match="holds no images"):
        images_of_folder(tmp_path, 32, 64, 4)
    with pytest.raises(UserError, match="no such folder"):
        images_of_folder(tmp_path / "none", 32, 64, 4)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"a\.png: not an image"):
        images_of_folder(tmp_path, 32, 64, 4)


def test_images_of_a_run_are_those_of_its_training(tmp_path):
    prepare.main(["scenes", "--output", str(tmp_path), "--count", "6"])
    first = read_image(next(iter(sorted((tmp_path / "images").glob("train/*")) or [*(tmp_path / "images").iterdir()])))
    config = overlay(data={"root": str(tmp_path)}, teacher={"maps": True})
    images = images_of_run(config, 32, 64, 3)
    assert len(images) == 3
    assert any((image == resize_image(first, 32, 64)).all() for image in images_of_run(config, 32, 64, 100))
    assert (config.data.height, config.teacher.maps) == (224, True)


def test_images_of_a_run_on_scenes():
    config = overlay(data={"source": "scenes", "count": 4, "eval_count": 1})
    assert [image.shape for image in images_of_run(config, 32, 64, 2)] == [(32, 64, 3)] * 2


def test_data_of_a_run_that_is_gone(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        images_of_run(overlay(data={"root": str(tmp_path / "gone")}), 32, 64, 2)


def test_rendered_images_are_always_the_same():
    np.testing.assert_array_equal(rendered_images(32, 64, 2), rendered_images(32, 64, 2))
