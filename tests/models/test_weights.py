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
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.weights import TEACHERS, export_weights, load_weights, save_weights, start_from
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)

HEADER = Header(TrainingRun("train"), scores={"whdr": 0.25})


@pytest.fixture(scope="module")
def config():
    return overlay(model={"width": 0.25}).model


@pytest.fixture(scope="module")
def model():
    return make_network(heads=2)


@nnx.jit
def apply(network, image):
    return network(image)


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
    assert weights.header == HEADER
    assert weights.path == saved
    assert weights.config.heads == 0
    loaded = weights.model
    loaded.set_attributes(implementation="lax")  # as in `make_network`
    outputs, expected = (apply(network, jnp.asarray(IMAGE)) for network in (loaded, model.without_heads()))
    np.testing.assert_array_equal(outputs.depth, expected.depth)
    np.testing.assert_array_equal(outputs.features, expected.features)
    assert outputs.auxiliary == ()


def test_another_network_comes_back_with_its_epsilon(tmp_path):
    options = {"encoder": "shufflenet_v2", "decoder": "nnconv5", "heads": 0, "norm_epsilon": 1e-3}
    model, path = make_network(width=1.0, **options), tmp_path / "model.safetensors"
    save_weights(path, model, overlay(model=options).model, Header())
    loaded = load_weights(path).model
    assert loaded.encoder.head.norm.epsilon == 1e-3
    for a, b in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(nnx.state(loaded)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_run_directory_and_half_precision(model, saved, tmp_path):
    export_weights(saved, tmp_path / "model.safetensors")
    weights = load_weights(tmp_path)
    assert weights.header == HEADER
    loaded = tensors(weights.model)
    for name, value in tensors(model.without_heads()).items():
        assert loaded[name].dtype == np.float32
        np.testing.assert_allclose(loaded[name], value, rtol=1e-3, atol=1e-7)


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


def test_truncated_and_missing_files(saved, tmp_path):
    saved.write_bytes(saved.read_bytes()[:5000])
    with pytest.raises(UserError, match="damaged"):
        load_weights(saved)
    with pytest.raises(UserError, match="does not exist"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="train that run"):
        load_weights(tmp_path / "run")


def test_the_embedded_teacher_has_a_name():
    assert TEACHERS["embedded"].stat().st_size < 6e6
    weights = load_weights(pathlib.Path("embedded"))
    assert weights.path == TEACHERS["embedded"]
    assert weights.config.encoder == "mobilenet_v2"
    assert weights.header.scores == {"whdr": 0.26}
    assert weights.header.run.command.startswith("python -m mdepth_jax.train --config configs/teacher.py")


def test_a_run_starts_from_another_but_keeps_its_own_heads(model, saved):
    network = make_network(heads=2)
    for _, variable in nnx.state(network, (nnx.Param, nnx.BatchStat)).flat_state():
        variable.set_value(jnp.asarray(np.full(variable.shape, 7, np.float32)))
    assert start_from(network, saved) == HEADER
    assert (np.asarray(network.decoder.heads[0].predict.kernel[...]) == 7).all()
    started = tensors(network)
    for name, value in tensors(model.without_heads()).items():
        np.testing.assert_array_equal(started[name], value)


def tensors(network):
    return {
        ".".join(map(str, path)): np.asarray(leaf)
        for path, leaf in nnx.state(network, (nnx.Param, nnx.BatchStat)).flat_state()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0.5}, "has shape"),
        ({"preprocessing": "torchvision"}, r"set `config\.model\.preprocessing=tensorflow`"),
        ({"last_layer": "block"}, "is missing"),
    ],
)
def test_a_start_of_another_network(saved, change, message):
    network = make_network(heads=2, **change)
    with pytest.raises(UserError, match=message):
        start_from(network, saved)
