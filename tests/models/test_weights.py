import dataclasses
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
from mdepth_jax.files import hash_file
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.score import make_scores
from mdepth_jax.models.weights import (
    TEACHERS,
    WITH_HEADS,
    WITHOUT_HEADS,
    Start,
    export_weights,
    load_weights,
    save_weights,
    start_from,
)
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)

HEADER = Header(TrainingRun("train"), scores=make_scores({"whdr": 0.25}))


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
    original = hash_file(saved)
    export_weights(saved, tmp_path / "model.safetensors")
    weights = load_weights(tmp_path)
    whdr = dataclasses.replace(HEADER.scores["whdr"], weights=original)  # not measured with the rounded weights
    assert weights.header == dataclasses.replace(HEADER, scores={"whdr": whdr})
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
    assert weights.header.values == {"whdr": 0.26}
    assert weights.header.run.command.startswith("python -m mdepth_jax.train --config configs/teacher.py")


@pytest.fixture(scope="module")
def run(model, config, tmp_path_factory):
    """A run directory whose network has two heads."""
    directory = tmp_path_factory.mktemp("run")
    save_weights(directory / WITHOUT_HEADS, model, config, HEADER)
    save_weights(directory / WITH_HEADS, model, config, HEADER, heads=True)
    return directory


def constant_network(heads):
    network = make_network(heads=heads)
    for _, variable in nnx.state(network, (nnx.Param, nnx.BatchStat)).flat_state():
        variable.set_value(jnp.full(variable.shape, 7, jnp.float32))
    return network


def test_a_run_starts_from_another_with_its_heads(model, run):
    network = constant_network(heads=2)
    assert start_from(network, run) == Start(HEADER, new_heads=0)
    started = tensors(network)
    assert any(name.startswith("decoder.heads.1.") for name in started)
    for name, value in tensors(model).items():
        np.testing.assert_array_equal(started[name], value)


@pytest.mark.parametrize("heads", [0, 1])
def test_a_network_with_fewer_heads_starts_with_the_deepest(heads, model, run):
    network = constant_network(heads)
    assert start_from(network, run).new_heads == 0
    expected = tensors(model)
    for name, value in tensors(network).items():
        np.testing.assert_array_equal(value, expected[name.replace("decoder.heads.0.", "decoder.heads.1.")])


def test_heads_that_the_weights_lack_keep_their_initialization(model, run, tmp_path):
    from_one, from_none = constant_network(heads=2), constant_network(heads=2)
    path, one = tmp_path / "one.safetensors", make_network(heads=1)
    save_weights(path, one, overlay(model={"width": 0.25, "heads": 1}).model, HEADER, heads=True)
    assert start_from(from_one, path).new_heads == 1
    assert start_from(from_none, run / WITHOUT_HEADS).new_heads == 2
    expected, started = tensors(one), tensors(from_one)
    for name, value in started.items():
        if name.startswith("decoder.heads.0."):
            assert (value == 7).all()
        else:
            np.testing.assert_array_equal(value, expected[name.replace("decoder.heads.1.", "decoder.heads.0.")])
    expected = tensors(model.without_heads())
    for name, value in tensors(from_none).items():
        if name.startswith("decoder.heads."):
            assert (value == 7).all()
        else:
            np.testing.assert_array_equal(value, expected[name])


def test_the_file_for_use_is_without_heads(run):
    with safetensors.safe_open(run / WITHOUT_HEADS, "numpy") as file:
        assert not any("heads" in name for name in file.keys())  # noqa: SIM118
    bare, stripped = load_weights(run), load_weights(run / WITH_HEADS)
    assert bare.path == run / WITHOUT_HEADS
    assert bare.config == stripped.config
    expected = tensors(bare.model)
    assert expected.keys() == tensors(stripped.model).keys()
    for name, value in tensors(stripped.model).items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_damaged_head_is_named(run, tmp_path):
    path = tmp_path / "heads.safetensors"
    path.write_bytes((run / WITH_HEADS).read_bytes())
    edit(path, lambda header, tensors: tensors.pop("decoder.heads.1.predict.bias"))
    with pytest.raises(UserError, match=r"tensor decoder\.heads\.1\.predict\.bias is missing"):
        start_from(make_network(heads=2), path)


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
