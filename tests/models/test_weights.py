import json
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.teachers import load_teacher
from mdepth_jax.models.weights import TEACHERS, export_weights, load_weights, save_weights, start_from
from mdepth_jax.training.config import overlay

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)

HEADER = Header(TrainingRun("train"), scores={"whdr": 0.25})


@pytest.fixture(scope="module")
def config():
    return overlay(model={"width": 0.25}).model


@pytest.fixture(scope="module")
def model(config):
    return build_model(config, rngs=nnx.Rngs(0))


@pytest.fixture
def saved(model, config, tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, model, config, HEADER)
    return path


def edit(path, change):
    with safetensors.safe_open(path, "numpy") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    safetensors.numpy.save_file(tensors, path, metadata=header)


def test_round_trip(model, saved):
    weights = load_weights(saved)
    loaded = weights.model
    assert weights.header == HEADER
    assert weights.path == saved
    assert weights.config.heads == 0
    model.eval()
    expected = model(jnp.asarray(IMAGE))
    outputs = loaded(jnp.asarray(IMAGE))
    np.testing.assert_array_equal(outputs.depth, expected.depth)
    np.testing.assert_array_equal(outputs.features, expected.features)
    assert outputs.auxiliary == ()


def test_another_network_comes_back_with_its_epsilon(tmp_path):
    config = overlay(model={"encoder": "shufflenet_v2", "decoder": "nnconv5", "heads": 0, "norm_epsilon": 1e-3}).model
    model, path = build_model(config, rngs=nnx.Rngs(0)), tmp_path / "model.safetensors"
    save_weights(path, model, config, Header())
    loaded = load_weights(path).model
    assert loaded.encoder.head.norm.epsilon == 1e-3
    for a, b in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(nnx.state(loaded)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_run_directory_and_half_precision(model, saved, tmp_path):
    export_weights(saved, tmp_path / "model.safetensors")
    weights = load_weights(tmp_path)
    loaded = weights.model
    assert weights.header.scores == {"whdr": 0.25}
    model.eval()
    expected = np.asarray(model(jnp.asarray(IMAGE)).depth)
    depth = np.asarray(loaded(jnp.asarray(IMAGE)).depth)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: t.pop("decoder.predict.bias"), "tensor decoder.predict.bias is missing"),
        (lambda h, t: t.update(more=np.zeros(1, np.float32)), "tensor more is unexpected"),
        (
            lambda h, t: t.update({"decoder.predict.bias": np.zeros(2, np.float32)}),
            r"predict.bias has shape \(2,\)",
        ),
        (
            lambda h, t: t["decoder.predict.bias"].fill(np.nan),
            "tensor decoder.predict.bias holds values that are not finite",
        ),
        (lambda h, t: h.update(format="mdepth_jax/99"), "the header says format 'mdepth_jax/99'"),
        (lambda h, t: h.clear(), "the header says format None"),
    ],
)
def test_strict(saved, change, message):
    edit(saved, change)
    with pytest.raises(UserError, match=message):
        load_weights(saved)


class Explosive:
    def __reduce__(self):
        return pytest.fail, ("the pickle was run",)


@pytest.mark.parametrize("content", [b"", b"not tensors at all", pickle.dumps(Explosive())])
def test_other_files(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged or not a safetensors file"):
        load_weights(path)


def test_the_embedded_teacher_has_a_name():
    config = load_weights(pathlib.Path("embedded")).config
    assert config.encoder == "mobilenet_v2"


def test_truncated_and_missing_files(saved, tmp_path):
    saved.write_bytes(saved.read_bytes()[:5000])
    with pytest.raises(UserError, match="damaged"):
        load_weights(saved)
    with pytest.raises(UserError, match="does not exist"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="train that run"):
        load_weights(tmp_path / "run")


def test_a_teacher_gives_depth_and_features(model, saved):
    prediction = load_teacher(str(saved))(jnp.asarray(IMAGE))
    model.eval()
    expected = model(jnp.asarray(IMAGE))
    np.testing.assert_allclose(prediction.depth, expected.depth, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(prediction.features, expected.features, rtol=1e-5, atol=1e-5)


def test_a_teacher_of_another_unit(saved):
    def tell_its_unit(header, tensors):
        header["about"] = json.dumps({"config": {"data": {"log": 4.0}}})

    edit(saved, tell_its_unit)
    load_teacher(str(saved), log=4.0)
    with pytest.raises(UserError, match=r"trained with data\.log=4\.0; set --config\.data\.log=4\.0"):
        load_teacher(str(saved), log=0.0)


def test_the_embedded_teacher():
    assert TEACHERS["embedded"].stat().st_size < 6e6
    header = load_weights(TEACHERS["embedded"]).header
    assert header.scores == {"whdr": 0.26}
    assert header.run.command.startswith("python -m mdepth_jax.train --config configs/teacher.py")
    prediction = load_teacher("embedded")(jnp.zeros((1, 96, 128, 3), jnp.uint8))
    assert prediction.depth.shape == (1, 96, 128, 1)
    assert prediction.features.shape[1:3] == (48, 64)
    assert np.isfinite(prediction.depth).all()


def test_a_run_starts_from_another_but_keeps_its_own_heads(model, saved):
    config = overlay(model={"width": 0.25}).model
    network = build_model(config, rngs=nnx.Rngs(7))
    head = np.asarray(network.decoder.heads[0].predict.kernel[...])
    start_from(network, saved)
    np.testing.assert_array_equal(network.decoder.heads[0].predict.kernel[...], head)
    for name, value in tensors(model.without_heads()).items():
        np.testing.assert_array_equal(tensors(network)[name], value)
    assert not np.array_equal(head, model.decoder.heads[0].predict.kernel[...])


def tensors(network):
    return {
        ".".join(map(str, path)): np.asarray(leaf)
        for path, leaf in nnx.state(network, (nnx.Param, nnx.BatchStat)).flat_state()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0.5}, "has shape"),
        ({"preprocessing": "torchvision"}, "set model.preprocessing to that"),
        ({"last_layer": "block"}, "is missing"),
    ],
)
def test_a_start_of_another_network(saved, change, message):
    network = build_model(overlay(model={"width": 0.25, **change}).model, rngs=nnx.Rngs(7))
    with pytest.raises(UserError, match=message):
        start_from(network, saved)
