import json

import numpy as np
import pytest

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.builders.base import Pairs
from mdepth_jax.data.builders.diw import Diw
from mdepth_jax.data.sources.folders import PairsFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.records import Records
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.errors import UserError

DEPTH = Maps(depth=0.001)


@pytest.fixture
def directory(pairs_folder, prepare):
    _, output = prepare(Pairs, pairs_folder)
    return output / "pairs/1.0.0"


def test_records_equal_the_folder(pairs_folder, directory):
    records = Records(directory, "train", maps=DEPTH)
    raw = PairsFolder(pairs_folder / "pairs_train.csv", maps=DEPTH)
    assert len(records) == len(raw) == 5
    assert records.max_pairs == raw.max_pairs == 5
    for index in (4, 0, 2, 3, 1):
        assert records[index].keys() == raw[index].keys()
        for key, value in raw[index].items():
            assert records[index][key].dtype == value.dtype
            np.testing.assert_array_equal(records[index][key], value)
    assert len(Records(directory, "test")) == 1


def test_records_keep_the_meaning_of_the_teacher_maps(pairs_folder, prepare):
    (pairs_folder / "teacher").mkdir()
    for path in (pairs_folder / "depth").iterdir():
        (pairs_folder / "teacher" / path.name).write_bytes(path.read_bytes())
    (pairs_folder / "teacher/about.json").write_text('{"meaning": "inverse relative depth", "map_scale": 0.5}')
    _, output = prepare(Pairs, pairs_folder)
    wanted = Maps(teacher_depth=0.0)
    records = Records(output / "pairs/1.0.0", "train", maps=wanted)
    raw = PairsFolder(pairs_folder / "pairs_train.csv", maps=wanted)
    assert records.maps.teacher == raw.maps.teacher
    assert raw[0]["teacher_depth"].max() < 0
    np.testing.assert_array_equal(records[0]["teacher_depth"], raw[0]["teacher_depth"])
    with pytest.raises(UserError, match=r"the unit of the codes is 0\.5, but `config\.data\.map_scale=0\.1`"):
        Records(output / "pairs/1.0.0", "train", maps=Maps(teacher_depth=0.1))


def test_a_part_of_a_split(directory):
    part = Records(directory, "train[40%:]")
    assert len(part) == 3
    np.testing.assert_array_equal(part[0]["image"], Records(directory, "train")[2]["image"])


def test_missing_splits_and_maps(directory):
    for part in ("train[:95", "train[:x%]"):
        with pytest.raises(UserError, match=r"is not a part of a split; write train\[:90%\]"):
            Records(directory, part)
    with pytest.raises(UserError, match="no split 'val'; choose one of test, train"):
        Records(directory, "val")
    with pytest.raises(UserError, match="'test' was prepared without maps in 'depth'"):
        Records(directory, "test", maps=DEPTH)
    with pytest.raises(UserError, match=r"without maps in 'teacher'; .*`config\.teacher\.maps=False`"):
        Records(directory, "train", maps=Maps(teacher_depth=1.0))
    assert len(Records(directory, "train", maps=Maps(teacher_depth=1.0, teacher_optional=True))) == 5


def test_records_say_what_they_are(pairs_folder, prepare):
    """Whatever the names of the folders: without `about.json` the data set is unknown."""
    (pairs_folder / "about.json").write_text('{"name": "my rooms", "terms": "CC0"}')
    _, output = prepare(Pairs, pairs_folder)
    records = Records(output / "pairs/1.0.0", "train[40%:]")
    assert records.info == DataSetInfo(name="my rooms", terms="CC0")
    assert records.split == "train[40%:]"
    info = output / "pairs/1.0.0/metadata.json"
    metadata = json.loads(info.read_text())
    del metadata["data_set"]  # as an earlier version wrote it
    info.write_text(json.dumps(metadata))
    assert Records(output / "pairs/1.0.0", "train").info == DataSetInfo()


def test_a_published_set_is_known_by_its_builder(pairs_folder, prepare):
    (pairs_folder / "pairs_train.csv").rename(pairs_folder / "DIW_train.csv")
    (pairs_folder / "test.csv").rename(pairs_folder / "DIW_test.csv")
    (pairs_folder / "about.json").write_text('{"key": "nyuv2"}')
    with pytest.raises(UserError, match=r"about\.json: key 'key' is 'nyuv2', but the folder is prepared as diw"):
        prepare(Diw, pairs_folder)
    (pairs_folder / "about.json").unlink()
    _, output = prepare(Diw, pairs_folder)
    assert Records(output / "diw/1.0.0", "test").info == KNOWN_SETS["diw"]
