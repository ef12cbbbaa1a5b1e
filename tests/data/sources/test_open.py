import numpy as np
import pytest

from mdepth_jax.data.builders.base import Pairs
from mdepth_jax.data.sources.folders import ImageFolder, PairsFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import find_splits, open_source, prepared_directory
from mdepth_jax.data.sources.records import Records
from mdepth_jax.errors import UserError


def test_the_format_is_detected(pairs_folder):
    (pairs_folder / "val.csv").write_text((pairs_folder / "pairs_train.csv").read_text())
    for arguments in ((pairs_folder, "train"), (pairs_folder, "val"), (pairs_folder / "val.csv",)):
        source = open_source(*arguments)
        assert isinstance(source, PairsFolder)
        assert len(source[1]["relation"]) == 2
    source = open_source(pairs_folder)
    assert isinstance(source, ImageFolder)
    assert (len(source), source.max_pairs) == (6, 0)


def test_paths_in_a_csv_start_from_the_root(pairs_folder, tmp_path):
    (tmp_path / "pairs.csv").write_text((pairs_folder / "pairs_train.csv").read_text())
    with pytest.raises(UserError, match="no such file"):
        open_source(tmp_path / "pairs.csv")[1]
    assert len(open_source(tmp_path / "pairs.csv", root=pairs_folder)[1]["relation"]) == 2


def test_a_list_of_images(pairs_folder):
    (pairs_folder / "held_out.txt").write_text("3\n1.jpg\n")
    source = open_source(pairs_folder, "held_out", maps=Maps(depth=1.0))
    assert (len(source), source.max_pairs) == (2, 0)
    np.testing.assert_array_equal(source[1]["image"], open_source(pairs_folder)[1]["image"])
    (pairs_folder / "held_out.txt").write_text("7\n")
    with pytest.raises(UserError, match=r"held_out\.txt:1: there is no image '7'"):
        open_source(pairs_folder, "held_out")


def test_missing_data_sets_and_splits(pairs_folder):
    with pytest.raises(UserError, match=r"holds no pairs_val\.csv, val\.csv or val\.txt"):
        open_source(pairs_folder, "val")
    with pytest.raises(UserError, match=r"no such file or folder; .*tfds build nyu_depth_v2"):
        open_source(pairs_folder / "nowhere", "train")
    with pytest.raises(UserError, match="holds no images"):
        open_source(pairs_folder / "depth")


def test_prepared_records_are_found_from_every_folder_above(pairs_folder, prepare):
    _, output = prepare(Pairs, pairs_folder)
    directory = output / "pairs/1.0.0"
    for path in (output, output / "pairs", directory):
        assert prepared_directory(path) == directory
        assert isinstance(open_source(path, "train"), Records)
    assert len(open_source(output)) == 5
    assert prepared_directory(pairs_folder) is None


def test_names_of_splits(pairs_folder, prepare):
    (pairs_folder / "pairs_val.csv").write_text((pairs_folder / "pairs_train.csv").read_text())
    assert find_splits(pairs_folder) == ["train", "test"]
    _, output = prepare(Pairs, pairs_folder)
    assert find_splits(output) == ["test", "train", "val"]
