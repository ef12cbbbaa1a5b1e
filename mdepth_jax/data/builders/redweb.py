"""ReDWeb (Xian et al. 2018, "Monocular Relative Depth Perception with Web Stereo Data Supervision") for TFDS."""

from pathlib import Path

import numpy as np

from mdepth_jax.data.builders.base import DepthBuilder
from mdepth_jax.data.builders.frames import Frame, load_files
from mdepth_jax.data.builders.raw import RawSource
from mdepth_jax.data.images import encode, read_map
from mdepth_jax.data.listing import find_images
from mdepth_jax.errors import UserError


class Redweb(DepthBuilder):
    """3600 web images with dense relative depth, prepared like every `DepthBuilder`.

    The publisher gives one set without splits: all of it is `train`. A part of it can be held out, such as
    `train[:95%]` for training and `train[95%:]` for evaluation.

    The codes of the maps are relative depth, from 0 (near) to 255 (sky), and 0 is nearer than all else. In records 0
    means unknown, so that they hold 256 times the code, and 1 for 0: every ratio of two depths stays on its side of
    1 + tau. Training draws its pairs from the maps in each step (`data.sampled_pairs=3000` is the paper's).
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Ask the authors for ReDWeb_V1 (their page links to it; they give no checksum) and unpack it, so that the folder
holds ReDWeb_V1/Imgs/*.jpg and ReDWeb_V1/RDs/*.png, a map for every image."""

    def open_splits(self, source: Path) -> dict[str, RawSource]:
        """Finds the images; `source` may also be the folder ReDWeb_V1 itself."""
        top = source if (source / "Imgs").is_dir() else source / "ReDWeb_V1"
        if not (top / "Imgs").is_dir() or not (top / "RDs").is_dir():
            raise self.layout_error(source, "ReDWeb_V1/Imgs/ and ReDWeb_V1/RDs/")
        entries = [
            (source, path.relative_to(source).as_posix(), top / "RDs" / f"{name}.png")
            for name, path in find_images(top / "Imgs").items()
        ]
        return {"train": self.frames(source, entries, _load)}


def _load(paths: tuple[Path, str, Path]) -> Frame:
    frame = load_files(paths)
    codes = read_map(frame.depth, str(paths[2]))
    if not codes.any():
        raise UserError(f"{paths[2]}: is 0 everywhere; replace it or remove the image")
    if codes.max() > 255:
        raise UserError(f"{paths[2]}: has codes above 255; the maps of ReDWeb have 8 bits")
    return frame._replace(depth=encode(np.maximum(codes * 256, 1).astype(np.uint16)))
