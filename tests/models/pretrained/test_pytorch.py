import pickle
import sys
import zipfile

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.models.pretrained.pytorch import _rebuild_tensor, _Storage, read_pytorch
from mdepth_jax.models.pretrained.tensors import read_tensors
from tests.conftest import GOLDEN


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def save(path, contents):
    """The archive that PyTorch would write, but of an object without tensors."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(contents, protocol=2))
        archive.writestr("archive/version", "3\n")


def test_shared_storages_parameters_and_half_precision():
    """Made by PyTorch 2.14: views into one bfloat16 storage, a parameter, an empty tensor and a scalar."""
    tensors = read_pytorch(GOLDEN / "pytorch_tensors.pt")
    values = np.arange(12, dtype=np.float32) / 4
    expected = {
        "part": values[4:10].reshape(3, 2),
        "turned": values[:6].reshape(2, 3).T,
        "parameter": np.float32([1, 2]),
        "empty": np.zeros((0, 3), np.float32),
        "double": np.float32(3.5),
        "count": np.int64(7),
    }
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name], strict=True)


@pytest.mark.parametrize("contents", [Bomb(), {"weights": Bomb()}, {"weights": [1, 2]}, [1, 2], b"bytes"])
def test_anything_but_a_state_dict_is_refused(tmp_path, contents):
    path = tmp_path / "weights.pt"
    save(path, contents)
    with pytest.raises(UserError, match=r"weights\.pt: not a complete \.pt file of plain arrays") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_refused(tmp_path):
    """Cut off, or with one byte changed anywhere: refused, or read as if that byte did not matter."""
    whole, path = (GOLDEN / "pytorch_state_dict.pth").read_bytes(), tmp_path / "weights.pth"
    for length in range(0, len(whole) - 1, 100):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"weights\.pth"):
            read_tensors(path)
    refused = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_tensors(path)
        except UserError:
            refused += 1
    assert refused > 50


def test_a_tensor_stays_within_its_storage():
    storage = _Storage(np.arange(4, dtype=np.float32).tobytes(), np.dtype("<f4"))
    np.testing.assert_array_equal(_rebuild_tensor(storage, 1, (3,), (1,), False, {}), [1, 2, 3])
    for offset, size, stride in ((2, (3,), (1,)), (0, (2,), (4,)), (-1, (2,), (1,)), (3, (2,), (-4,))):
        with pytest.raises((ValueError, TypeError)):
            _rebuild_tensor(storage, offset, size, stride, False, {})


def test_an_old_file_needs_pytorch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Bomb()))
    message = r"weights\.pth is damaged, or in the format of PyTorch before 1\.6, .*: pip install torch, or save"
    with pytest.raises(UserError, match=message):
        read_tensors(path)
