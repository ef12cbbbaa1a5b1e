import h5py
import pytest

from mdepth_jax.data.builders.hdf5 import find_dataset, open_hdf5
from mdepth_jax.errors import UserError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "frame.h5"
    with h5py.File(path, "w") as file:
        file["gt/img"] = [1, 2]
        file["gt/depth"] = [3]
    return path


def test_the_first_name_that_exists_is_found(file):
    with open_hdf5(file) as opened:
        assert find_dataset(opened, "none", "gt/img", "gt/depth")[()].tolist() == [1, 2]


def test_a_group_is_not_a_data_set(file):
    with open_hdf5(file) as opened, pytest.raises(UserError, match=r"frame\.h5: holds no gt or gt/mask"):
        find_dataset(opened, "gt", "gt/mask")


@pytest.mark.parametrize("damage", ["missing", "text", "truncated"])
def test_unreadable_files_are_named_in_one_line(file, damage):
    if damage == "missing":
        file.unlink()
    elif damage == "text":
        file.write_text("no HDF5")
    else:
        file.write_bytes(file.read_bytes()[:600])

    def read():
        with open_hdf5(file):
            pass

    with pytest.raises(UserError, match=r"frame\.h5: a missing, damaged or truncated HDF5 file") as error:
        read()
    assert "\n" not in str(error.value)
