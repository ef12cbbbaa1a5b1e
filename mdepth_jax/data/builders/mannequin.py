"""Builder for the Mannequin Challenge (Li et al. 2019, https://arxiv.org/abs/1904.11111)."""

from pathlib import Path

import numpy as np

from mdepth_jax.data.builders.base import DepthBuilder
from mdepth_jax.data.builders.frames import Frame
from mdepth_jax.data.builders.hdf5 import find_dataset, open_hdf5
from mdepth_jax.data.builders.raw import RawSplit
from mdepth_jax.data.images import encode
from mdepth_jax.errors import UserError

_SPLITS = ("train", "validation", "test")
_IMAGES = ("gt/img", "gt/img_1")
_DEPTHS = ("gt/mvs_depth", "gt/gt_depth")


class Mannequin(DepthBuilder):
    """Builder for frames of 2695 videos of people who stand still, with depth from multi-view stereo.

    The raw data set has one HDF5 file per frame, in the layout that the authors' training code reads: `gt/img` (RGB,
    0 to 255) and `gt/mvs_depth` (0 = unknown); `gt/img_1` and `gt/gt_depth` are accepted too. Depth of people is kept:
    they stand still, so that stereo measures them as well.

    Depth is metric up to one unknown factor per video. Records keep it in floating point as it is: read it with
    `data.depth_scale=1.0`.
    """

    KEY = "mannequin"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
MannequinChallenge.tar (https://google.github.io/mannequinchallenge, no checksum given) holds the links of the videos
and the camera of each frame, in train/, validation/ and test/. Extract the frames and run multi-view stereo on them,
then write <split>/<any name>.h5 for each frame, with gt/img (height, width, 3) and gt/mvs_depth (height, width)."""

    def open_splits(self, folder: Path) -> dict[str, RawSplit]:
        """Finds the HDF5 files of each split."""
        found = {split: sorted((folder / split).rglob("*.h5")) for split in _SPLITS}
        if not any(found.values()):
            raise self.layout_error(folder, ".h5 in train/, validation/ or test/")
        return {
            split: self.frames(folder, [(folder, path) for path in paths], _load)
            for split, paths in found.items()
            if paths
        }


def _load(paths: tuple[Path, Path]) -> Frame:
    folder, path = paths
    with open_hdf5(path) as file:
        image, depth = find_dataset(file, *_IMAGES)[()], find_dataset(file, *_DEPTHS)[()]
    if image.ndim != 3 or image.shape[-1] != 3 or depth.ndim != 2:
        raise UserError(f"{path}: gt/img is {image.shape} and gt/mvs_depth {depth.shape}; need (h, w, 3) and (h, w)")
    if image.dtype != np.uint8:
        image = np.clip(np.round(image * (255 if image.max() <= 1 else 1)), 0, 255).astype(np.uint8)
    name = path.relative_to(folder).with_suffix(".png").as_posix()
    return Frame(name, encode(image), encode(depth.astype(np.float32)))
