"""Builder for NYU Depth V2 (Silberman et al. 2012, "Indoor Segmentation and Support Inference from RGBD Images").

It prepares the labeled set, 795 training and 654 test frames. The 48k frames of TFDS's own `nyu_depth_v2` are read
without preparation, by `mdepth_jax.data.sources.tfds_nyuv2`.
"""

import functools
from pathlib import Path

import numpy as np
import scipy.io

from mdepth_jax.data.builders.folder import DepthFolder
from mdepth_jax.data.builders.frames import Frame
from mdepth_jax.data.builders.hdf5 import find_dataset, open_hdf5
from mdepth_jax.data.builders.raw import RawSplit
from mdepth_jax.data.crops import EIGEN_CROP
from mdepth_jax.data.images import encode, read_bytes
from mdepth_jax.errors import UserError

_MAT = "nyu_depth_v2_labeled.mat"
_MILLIMETERS = 1000  # in a meter


class Nyuv2(DepthFolder):
    """Builder for the labeled set, from the official `.mat` file or from a folder of frames.

    Records from the `.mat` file hold `depths`, the depth with filled holes, in millimeters; frames are named by their
    index from 0, `images/0000.png` to `images/1448.png`, also in lists of splits. Records from a folder hold the maps
    as they are: `data.depth_scale` sets their unit.

    Pairs are drawn inside `EIGEN_CROP`.
    """

    KEY = "nyuv2"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
Get {_MAT} and splits.mat from https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html into one folder (no
checksums given; train.txt and test.txt may stand for splits.mat), or put the frames into images/<name>.jpg and
depth/<name>.png with train.txt and test.txt, one <name> per line."""
    CROP = EIGEN_CROP
    SIZE = (480, 640)

    def open_splits(self, folder: Path) -> dict[str, RawSplit]:
        """Finds the frames of the official split."""
        mat = folder / _MAT
        if not mat.is_file():
            if not list(folder.glob("*.txt")):
                raise self.layout_error(folder, f"{_MAT} and no train.txt")
            return super().open_splits(folder)
        with open_hdf5(mat) as file:
            depths, images = find_dataset(file, "depths"), find_dataset(file, "images")
            count = len(depths)
            if depths.shape != (count, 640, 480) or images.shape != (count, 3, 640, 480):
                raise UserError(
                    f"{mat}: images {images.shape} and depths {depths.shape}; replace it by the publisher's file"
                )
        load = functools.partial(_load, mat)
        return {split: self.frames(mat, indices, load) for split, indices in _read_splits(folder, count).items()}


def _read_splits(folder: Path, count: int) -> dict[str, list[int]]:
    """Reads the 0-based frame indices of each split of the `.mat` file."""
    file = folder / "splits.mat"
    if file.is_file():
        try:
            splits = scipy.io.loadmat(file)
            indices = {split: (splits[f"{split}Ndxs"].ravel() - 1).tolist() for split in ("train", "test")}
        except (scipy.io.matlab.MatReadError, ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise UserError(f"{file}: not the official split ({error}); replace it by the publisher's file") from None
    else:
        lists = [folder / "train.txt", folder / "test.txt"]
        missing = [path.name for path in lists if not path.is_file()]
        if missing:
            raise UserError(f"{folder}: holds neither splits.mat nor {missing[0]}; add the official split")
        try:
            indices = {path.stem: [int(name) for name in read_bytes(path).split()] for path in lists}
        except ValueError as error:
            raise UserError(
                f"{folder}: a list of a split must hold frame indices from 0, one a line ({error})"
            ) from None
    for split, chosen in indices.items():
        if not chosen or not all(0 <= index < count for index in chosen):
            raise UserError(f"{folder}: the split {split!r} does not fit the {count} frames of {_MAT}; correct it")
    return indices


def _load(mat: Path, index: int) -> Frame:
    with open_hdf5(mat) as file:
        image, depth = find_dataset(file, "images")[index].T, find_dataset(file, "depths")[index].T
    name = f"images/{index:04d}.png"
    if not (np.isfinite(depth).all() and depth.min() >= 0):
        raise UserError(f"{mat}: {name}: depth is negative or not finite; replace it by the publisher's file")
    millimeters = np.clip(np.round(depth * _MILLIMETERS), 0, 65535).astype(np.uint16)
    return Frame(name, encode(np.ascontiguousarray(image)), encode(millimeters))
