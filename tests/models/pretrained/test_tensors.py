import pickle

import numpy as np
import pytest
import safetensors.numpy

from mdepth_jax.errors import UserError
from mdepth_jax.models.pretrained.tensors import read_tensors
from tests.conftest import GOLDEN

CONTENTS = {
    "module.conv.weight": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    "module.dense.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "norm.weight": np.ones(3, np.float16),
    "norm.num_batches_tracked": np.int64([7]),
}


def assert_contents(tensors):
    conv, dense, norm = (CONTENTS[name] for name in list(CONTENTS)[:3])
    assert tensors.keys() == {"conv.weight", "dense.weight", "norm.weight"}
    np.testing.assert_array_equal(tensors["conv.weight"], conv.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(tensors["dense.weight"][0, 0], dense.T)
    np.testing.assert_array_equal(tensors["norm.weight"], norm)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_kernels_are_turned_and_counters_left_out(tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    np.savez(path, **CONTENTS) if suffix == "npz" else safetensors.numpy.save_file(CONTENTS, path)
    assert_contents(read_tensors(path))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("contents", [b"", b"text", pickle.dumps(Bomb()), b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_another_file_is_refused(tmp_path, suffix, contents):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(contents)
    with pytest.raises(UserError, match="not a complete"):
        read_tensors(path)


def test_objects_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, bomb=np.array([Bomb()], object))
    with pytest.raises(UserError, match=r"not a complete \.npz file"):
        read_tensors(path)


@pytest.mark.parametrize("name", ["pytorch_state_dict.pth", "pytorch_checkpoint.pth.tar"])
def test_a_file_of_pytorch(name):
    """Made by PyTorch 2.14 from `CONTENTS`, alone and as the `state_dict` of a checkpoint."""
    assert_contents(read_tensors(GOLDEN / name))


def test_a_bare_array_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(UserError, match="not a complete"):
        read_tensors(path)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"weights.{suffix}"
    np.savez_compressed(path, **CONTENTS) if suffix == "npz" else safetensors.numpy.save_file(CONTENTS, path)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(share * len(contents))])
    with pytest.raises(UserError, match="not a complete"):
        read_tensors(path)


def test_a_flipped_byte_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, noise=np.random.default_rng(0).normal(size=1000))
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    path.write_bytes(contents)
    with pytest.raises(UserError, match="not a complete"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("name", "message"), [("none.npz", "no such file"), ("weights.onnx", r"one of the kinds \.npz, ")]
)
def test_a_missing_file_and_an_unknown_suffix(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        read_tensors(tmp_path / name)
