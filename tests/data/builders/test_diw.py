import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.diw import Diw
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError


@pytest.mark.parametrize(
    ("published", "splits"), [(["train", "val", "train_val", "test"], {"train", "val", "test"}),
                              (["train_val", "test"], {"train", "test"})],
)  # fmt: skip
def test_published_splits(published, splits, tmp_path, prepare):
    folder = tmp_path / "diw"
    for kind in ("DIW_train_val", "DIW_test", "DIW_Annotations_splitted"):
        (folder / kind).mkdir(parents=True)
    for split in published:
        kind = "test" if split == "test" else "train_val"
        Image.new("RGB", (30, 20)).save(folder / f"DIW_{kind}/{split}.thumb", "jpeg")
        (folder / f"DIW_Annotations_splitted/DIW_{split}.csv").write_text(
            f"./DIW_{kind}/{split}.thumb\n1,2,3,4,>,30,20\n"
        )
    builder, output = prepare(Diw, folder)
    assert set(builder.info.splits) == splits
    [raw] = builder.as_data_source("train")
    assert raw["name"].decode() == f"DIW_train_val/{'train' if 'train' in published else 'train_val'}.thumb"
    example = open_source(output, "test")[0]
    np.testing.assert_array_equal(example["points"], [[[0, 1], [2, 3]]])
    assert example["image"].shape == (20, 30, 3)


def test_a_folder_without_annotations_names_the_archives(tmp_path, prepare):
    with pytest.raises(UserError, match=r"holds no CSV of pairs; .*DIW_Annotations\.tar\.gz"):
        prepare(Diw, tmp_path)
