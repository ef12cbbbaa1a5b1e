import pickle

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import load_pretrained
from mdepth_jax.models.encoders import MobileNetV2
from mdepth_jax.models.pretrained import named_variables


class Model(nnx.Module):
    def __init__(self, seed):
        self.encoder = MobileNetV2(0.25, rngs=nnx.Rngs(seed))


def torchvision_tensors(model):
    return {
        name: np.asarray(v.transpose(3, 2, 0, 1) if v.ndim == 4 else v[...])
        for name, v in named_variables(model.encoder.named_layers()).items()
    }


@pytest.fixture(scope="module")
def tensors():
    return torchvision_tensors(Model(seed=1))


@pytest.fixture
def model():
    return Model(seed=0)


def test_names_cover_the_encoder(model):
    variables = named_variables(model.encoder.named_layers())
    assert len(variables) == 52 * 5
    assert len({id(v) for v in variables.values()}) == len(jax.tree.leaves(nnx.state(model)))
    assert {
        "features.0.0.weight",
        "features.1.conv.1.weight",
        "features.1.conv.2.running_var",
        "features.17.conv.0.1.running_mean",
        "features.17.conv.3.bias",
        "features.18.1.bias",
    } <= variables.keys()


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_both_formats_restore_every_tensor(tmp_path, model, tensors, suffix):
    path = tmp_path / f"weights.{suffix}"
    extra = {
        "classifier.1.weight": np.zeros((10, 1280), np.float32),
        "features.0.1.num_batches_tracked": np.int64([7]),
    }
    contents = {name: np.ascontiguousarray(tensor) for name, tensor in (tensors | extra).items()}
    np.savez(path, **contents) if suffix == "npz" else safetensors.numpy.save_file(contents, path)
    load_pretrained(model, path)
    restored = torchvision_tensors(model)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(restored[name], tensor)


NAME = "features.3.conv.1.0.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(NAME), f"tensor {NAME} is missing"),
        (lambda t: t.update({"features.99.weight": t[NAME]}), "tensor features.99.weight has no place"),
        (lambda t: t.update({NAME: t[NAME][..., :2]}), f"tensor {NAME} has shape"),
        (lambda t: t.update({NAME: np.full_like(t[NAME], np.nan)}), f"tensor {NAME} holds NaN"),
        (lambda t: t.update({NAME: t[NAME].astype(np.int32)}), f"tensor {NAME} holds int32"),
        (lambda t: t.update({NAME: np.array([{}], object)}), "not a whole .npz file"),
    ],
)
def test_a_wrong_tensor_is_named_and_nothing_changes(tmp_path, model, tensors, change, message):
    path, contents = tmp_path / "weights.npz", dict(tensors)
    change(contents)
    np.savez(path, **contents)
    before = torchvision_tensors(model)
    with pytest.raises(UserError, match=message) as error:
        load_pretrained(model, path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    for name, tensor in torchvision_tensors(model).items():
        np.testing.assert_array_equal(tensor, before[name])


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("contents", [b"", b"text", pickle.dumps(Bomb()), b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_another_file_is_refused(tmp_path, model, suffix, contents):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(contents)
    with pytest.raises(UserError, match="not a whole"):
        load_pretrained(model, path)


def test_a_bare_array_is_refused(tmp_path, model):
    path = tmp_path / "weights.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(UserError, match="not a whole"):
        load_pretrained(model, path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, model, tensors, share):
    path = tmp_path / "weights.npz"
    np.savez_compressed(path, **tensors)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(share * len(contents))])
    with pytest.raises(UserError, match="not a whole"):
        load_pretrained(model, path)


def test_a_flipped_byte_is_refused(tmp_path, model, tensors):
    path = tmp_path / "weights.npz"
    np.savez(path, **tensors)
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    path.write_bytes(contents)
    with pytest.raises(UserError, match="not a whole"):
        load_pretrained(model, path)


@pytest.mark.parametrize(("name", "message"), [("none.npz", "no such file"), ("weights.pth", "must be a .npz")])
def test_a_missing_file_and_an_unknown_suffix(tmp_path, model, name, message):
    with pytest.raises(UserError, match=message):
        load_pretrained(model, tmp_path / name)
