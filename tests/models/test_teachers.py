import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import nnx

from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.errors import UserError
from mdepth_jax.models import Header, TrainingRun, count_parameters, default_config, save_weights
from mdepth_jax.models.teachers import load_encdecresnet, load_teacher
from tests.models.encdecresnet import narrow, write_checkpoint
from tests.tflite.networks import make_network

MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


@nnx.jit
def apply(module, *inputs):
    return module(*inputs)


def test_whole_network_golden(golden, tmp_path):
    case = golden("teacher_encdecresnet")[2]
    path = tmp_path / "encdecresnet.npz"
    write_checkpoint(path, seed=int(case["weight_seed"]))
    model = load_encdecresnet(path)
    assert count_parameters(model) == case["n_params"] == 53_158_977

    normalized = case["x"].transpose(0, 2, 3, 1)  # channels B, G, R with the figures of R, G, B
    image = (normalized * DEVIATION + MEAN)[..., ::-1] * 255
    outputs = apply(model, jnp.asarray(image))
    reference = case["y"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(outputs.depth, reference, rtol=0, atol=1e-3 * np.abs(reference).max())
    features = case["d1"].transpose(0, 2, 3, 1)
    assert outputs.features.shape == tuple(case["d1_shape"][[0, 2, 3, 1]])
    np.testing.assert_allclose(outputs.features[..., :4], features, rtol=0, atol=1e-3 * np.abs(features).max())


def test_encdecresnet_sees_its_own_size(tmp_path, monkeypatch):
    """Whatever the student's size; its outputs come back as those of a network of ours."""
    narrow(monkeypatch)
    path = tmp_path / "narrow.npz"
    write_checkpoint(path)
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    prediction = load_teacher(str(path))(image)
    model = load_encdecresnet(path)
    assert count_parameters(model) < 2e6
    expected = apply(model, jax.image.resize(jnp.float32(image), (2, 384, 384, 3), "bilinear"))
    assert expected.features.shape == (2, 192, 192, 16)
    for found, unscaled, size in (
        (prediction.depth, expected.depth, (2, 64, 96, 1)),
        (prediction.features, expected.features, (2, 32, 48, 16)),
    ):
        resized = jax.image.resize(unscaled, size, "bilinear")
        np.testing.assert_allclose(found, resized, rtol=0, atol=1e-4 * np.abs(resized).max())


@pytest.mark.slow
def test_encdecresnet_of_full_width_sees_its_own_size(tmp_path):
    path = tmp_path / "encdecresnet.npz"
    write_checkpoint(path)
    prediction = load_teacher(str(path))(np.zeros((1, 224, 448, 3), np.uint8))
    assert prediction.depth.shape == (1, 224, 448, 1)
    assert prediction.features.shape == (1, 112, 224, 128)
    assert np.isfinite(prediction.depth).all()


def test_another_checkpoint_is_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, **{"module.feafu1.bn_trans_up.bias": np.zeros(128, np.float32)})
    with pytest.raises(UserError, match=r"other\.npz: tensor ada_out\.bn1\.bias is missing"):
        load_teacher(str(path))


def test_a_pytorch_checkpoint_is_read_as_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match=r"checkpoint\.pth is damaged, or in the format of PyTorch before"):
        load_teacher(str(path))


@pytest.fixture(scope="module")
def model():
    return make_network(encoder="mobilenet_v1", decoder="nnconv5")


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """Weights of a run on `data.log=4`."""
    config = default_config()
    config.update(encoder="mobilenet_v1", decoder="nnconv5", width=0.25, heads=0)
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    save_weights(path, model, config, Header(TrainingRun(config={"data": {"log": 4.0}})))
    return path


def test_a_run_predicts_depth_and_features(model, saved):
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8))
    prediction, expected = load_teacher(str(saved))(image), apply(model, image)
    np.testing.assert_allclose(prediction.depth, expected.depth, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(prediction.features, expected.features, rtol=1e-5, atol=1e-5)


def test_an_inverted_run_is_turned(saved):
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)
    prediction, inverted = load_teacher(str(saved))(image), load_teacher(str(saved), inverted=True)(image)
    np.testing.assert_array_equal(inverted.depth, -prediction.depth)
    np.testing.assert_array_equal(inverted.features, prediction.features)


def test_a_teacher_of_another_unit(saved):
    load_teacher(str(saved), log=4.0)
    with pytest.raises(UserError, match=r"trained with data\.log=4\.0; set `config\.data\.log=4\.0`"):
        load_teacher(str(saved), log=0.0)


def test_the_embedded_teacher():
    """Its depth grows with that of rendered scenes: larger = farther."""
    scenes = Scenes(4, 96, 128, split="test")
    prediction = load_teacher("embedded")(np.stack([scenes[index]["image"] for index in range(4)]))
    assert prediction.depth.shape == (4, 96, 128, 1)
    assert prediction.features.shape[1:3] == (48, 64)
    for index, depth in enumerate(prediction.depth):
        assert scipy.stats.spearmanr(depth.ravel(), scenes[index]["depth"].ravel()).statistic > 0.5
