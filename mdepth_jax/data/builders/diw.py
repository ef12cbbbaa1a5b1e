"""Builder for Depth in the Wild (Chen et al. 2016, https://arxiv.org/abs/1604.03901)."""

from pathlib import Path

from mdepth_jax.data.builders.base import Pairs


class Diw(Pairs):
    """Builder for 421k training and 74k test images with one ordinal pair each.

    The annotations are published complete (DIW_train_val.csv, DIW_test.csv) or with the training set split
    (DIW_train.csv, DIW_val.csv, DIW_test.csv). Every DIW_<split>.csv below the folder becomes a split; if there is no
    other, DIW_train_val.csv becomes `train`. Their paths (`./DIW_test/<hash>.thumb`) start from the folder itself.
    """

    KEY = "diw"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
The data set's page at the University of Michigan is gone since January 2026: get DIW_train_val.tar.gz,
DIW_test.tar.gz and DIW_Annotations.tar.gz (or DIW_Annotations_splitted.tar.gz) from someone who has them and
unpack all into one folder, so that it holds DIW_train_val/, DIW_test/ and DIW_<split>.csv in any
sub-folder."""

    def find_splits(self, folder: Path) -> dict[str, tuple[Path, Path]]:
        """Finds the CSV of each split and the folder that its paths start from."""
        splits = {csv.stem.removeprefix("DIW_"): (csv, folder) for csv in sorted(folder.rglob("DIW_*.csv"))}
        complete = splits.pop("train_val", None)
        return {"train": complete} | splits if complete else splits
