import pytest

from mdepth_jax.data.builders.base import Pairs
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError


def test_splits_are_named_by_their_csv(pairs_folder, prepare):
    builder, output = prepare(Pairs, pairs_folder)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 5, "test": 1}
    assert builder.info.metadata["train"] == {"max_pairs": 5, "maps": ["depth"]}
    assert builder.info.metadata["test"] == {"max_pairs": 6, "maps": []}
    assert len(open_source(output, "test")) == 1


def test_first_error_is_raised(pairs_folder, prepare):
    (pairs_folder / "images/3.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"pairs_train\.csv:14: images/3\.jpg: the file is empty"):
        prepare(Pairs, pairs_folder)


def test_skip_invalid(pairs_folder, prepare):
    (pairs_folder / "images/3.jpg").write_bytes(b"")
    with (pairs_folder / "pairs_train.csv").open("a") as file:
        file.write("images/9.jpg\n1,2,3,4,>,30,20\nimages/0.jpg\n1,2,3,4,?,30,20\n")
    builder, output = prepare(Pairs, pairs_folder, skip_invalid=True)
    assert len(open_source(output, "train")) == 4
    assert [str(problem).split(": ")[0] for problem in builder.problems] == [
        f"{pairs_folder}/pairs_train.csv:{line}" for line in (34, 14, 32)
    ]


def test_a_split_without_valid_entries(pairs_folder, prepare):
    (pairs_folder / "images/5.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"test\.csv: has no valid entry"):
        prepare(Pairs, pairs_folder, skip_invalid=True)


def test_folder_without_csv(tmp_path, prepare):
    (tmp_path / "in" / "images").mkdir(parents=True)
    with pytest.raises(UserError, match="holds no CSV of pairs"):
        prepare(Pairs, tmp_path / "in")
