import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.images import read_image, resize_image, resize_map
from mdepth_jax.errors import UserError
from mdepth_jax.inference.network import open_network, to_pixels
from mdepth_jax.models import TEACHERS, Header, save_weights
from mdepth_jax.training.config import overlay
from tests.inference import saved
from tests.inference.saved import LOG, SIZE, save_mean, save_run

METADATA = {
    "name": "mobilenet_v1 + nnconv5",
    "output": "depth, larger = farther",
    "license": "code: Apache-2.0; data in rooms: unknown",
    "scores": {"rmse": 0.5, "depth_maps": 7, "step": 100},
    "config": {"data": {"log": LOG}, "loss": {"terms": "l1"}},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("network") / "run")


@pytest.fixture(scope="module")
def network(run):
    return open_network(run)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_depth_is_the_prediction_at_the_size_of_the_image(network, image):
    model, _ = saved.network()
    values = np.asarray(model(jnp.asarray(resize_image(image, *SIZE)[np.newaxis])).depth)[0, ..., 0]
    depth = network.predict(image)
    assert (depth.shape, depth.dtype) == ((40, 50), np.float32)
    np.testing.assert_allclose(depth, np.exp(resize_map(values, 40, 50) / LOG), rtol=1e-4)


def test_a_run_and_its_file_are_the_same_network(run, network, image):
    file = open_network(str(run / "model.safetensors"))
    assert file.info == network.info
    np.testing.assert_array_equal(file.predict(image), network.predict(image))


def test_description_of_a_run(run, network):
    info = network.info
    assert info.path == run / "model.safetensors"
    assert info.architecture == "mobilenet_v1 + nnconv5"
    assert info.meaning.startswith("depth in the unit of the depth maps of its training, larger = farther")
    assert info.has_unit
    assert (info.height, info.width, info.log) == (*SIZE, LOG)
    assert (info.scores, info.pairs, info.depth_maps) == ({"whdr": 0.25}, 20, 0)
    assert [license.name for license in info.licenses] == ["code", "rendered scenes of mdepth_jax"]
    assert repr(network) == f"Network(path={info.path!r}, architecture='mobilenet_v1 + nnconv5', batch_size=None)"


def test_the_embedded_network_has_a_name(image):
    network = open_network("embedded")
    assert network.info.path == TEACHERS["embedded"]
    assert network.info.has_unit
    assert network.info.scores == {"whdr": 0.26}
    depth = network.predict(image)
    assert depth.shape == (40, 50)
    assert (depth > 0).all()


def test_a_tflite_file(tmp_path, image):
    network = open_network(save_mean(tmp_path / "mean.tflite", METADATA))
    small = resize_image(image, 8, 16).astype(np.float32).mean(-1)
    np.testing.assert_allclose(network.predict(image), np.exp(resize_map(small, 40, 50) / LOG), rtol=1e-4)
    info = network.info
    assert (info.path, info.architecture) == (tmp_path / "mean.tflite", "mobilenet_v1 + nnconv5")
    assert info.has_unit
    assert (info.height, info.width, info.log) == (8, 16, LOG)
    assert (info.scores, info.pairs, info.depth_maps) == ({"rmse": 0.5}, 0, 7)
    assert [license.terms for license in info.licenses] == [METADATA["license"]]
    with pytest.raises(UserError, match=r"takes images of 16x8 only; convert the network again with `height`"):
        open_network(tmp_path / "mean.tflite", height=16)
    assert open_network(tmp_path / "mean.tflite", height=8, width=16, batch_size=4).predictor.batch_size == 1


def test_a_tflite_file_that_says_nothing(tmp_path, image):
    info = open_network(save_mean(tmp_path / "mean.tflite")).info
    assert info.meaning.startswith("relative depth, larger = farther: no unit")
    assert not info.has_unit
    assert (info.architecture, info.log, info.scores) == ("", 0, {})
    assert [license.terms for license in info.licenses] == ["unknown"]


def test_another_size(run, network, image):
    other = open_network(run, height=64, batch_size=2)
    assert (other.info.height, other.info.width) == (64, 64)
    predictor = other.predictor
    assert (predictor.height, predictor.width, predictor.batch_size) == (64, 64, 2)
    assert predictor is other.predictor
    assert other.predict(image).shape == (40, 50)
    assert network.info.height == 32


def test_all_kinds_of_images(network, image, tmp_path):
    expected = network.predict(image)
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    for given in (path, str(path), Image.open(path), Image.fromarray(image), image[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(network.predict(given), expected)
    turned = Image.fromarray(image)
    turned.getexif()[0x0112] = 6  # to be shown turned by a quarter
    np.testing.assert_array_equal(network.predict(turned), network.predict(np.rot90(image, -1)))
    for mode in ("L", "RGBA", "P", "I;16"):
        given = (
            Image.fromarray(image[..., 0]).convert("I;16") if mode == "I;16" else Image.fromarray(image).convert(mode)
        )
        file = tmp_path / f"{mode[0]}.png"
        given.save(file)
        np.testing.assert_array_equal(to_pixels(given), read_image(file))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("none.png", r"none\.png: no such file"),
        (np.zeros((4, 5, 3), np.float32), "`image` has type float32; give RGB as uint8"),
        (np.zeros((4, 5), np.uint8), r"`image` has shape \[4, 5\]; give RGB as \[height, width, 3\]"),
        (np.zeros((4, 5, 4), np.uint8), r"`image` has shape \[4, 5, 4\]"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"`image` has shape \[1, 4, 5, 3\]"),
        (np.zeros((0, 5, 3), np.uint8), r"`image` has shape \[0, 5, 3\]"),
        (Image.new("F", (5, 4)), "`image`: floating-point images"),
        (None, "`image` has type object"),
        (3, "`image` has type int64"),
    ],
)
def test_wrong_images(image, message):
    with pytest.raises(UserError, match=message):
        to_pixels(image)


def test_a_truncated_image(tmp_path, image):
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as truncated, pytest.raises(UserError, match="truncated"):
        to_pixels(truncated)


@pytest.mark.parametrize("options", [{"height": 0}, {"width": -32}, {"batch_size": 0}])
def test_numbers_must_be_positive(options):
    [name] = options
    with pytest.raises(UserError, match=f"`{name}` is .*; it must be positive"):
        open_network("embedded", **options)


def test_missing_networks(tmp_path):
    with pytest.raises(UserError, match=r"none does not exist; give a run directory, .*'embedded'"):
        open_network(tmp_path / "none")
    with pytest.raises(UserError, match=r"none\.tflite: no such file"):
        open_network(tmp_path / "none.tflite")
    model, options = saved.network()
    save_weights(tmp_path / "a.safetensors", model, overlay(model=options).model, Header())
    with pytest.raises(UserError, match="lacks the run's configuration"):
        open_network(tmp_path / "a.safetensors")


def test_a_network_cannot_be_changed(network):
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.path = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.info.log = 0.0
