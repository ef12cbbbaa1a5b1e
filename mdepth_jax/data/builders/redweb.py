"""Builder for ReDWeb (Xian et al. 2018, "Monocular Relative Depth Perception with Web Stereo Data Supervision")."""

from pathlib import Path

import numpy as np

from mdepth_jax.data.builders.base import DepthBuilder
from mdepth_jax.data.builders.frames import Frame, FrameFiles, load_frame
from mdepth_jax.data.builders.raw import RawSplit
from mdepth_jax.data.images import encode, read_map
from mdepth_jax.data.listing import find_images
from mdepth_jax.errors import UserError


class Redweb(DepthBuilder):
    """Builder for 3600 web images with dense relative depth.

    The set is published without splits: all of it becomes `train`. A part can be held out, such as `train[:95%]` for
    training and `train[95%:]` for evaluation.

    The codes of the maps are relative depth from 0 (nearest) to 255 (sky). In records 0 means unknown: they hold 256
    times the code, and 1 for code 0, so that every ratio of two depths stays on its side of 1 + tau. Training draws
    its pairs from the maps in each step (`data.sampled_pairs=3000` in the paper).
    """

    KEY = "redweb"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
Ask the authors for ReDWeb_V1 (their page links to it; no checksum given) and unpack it, so that the folder
holds ReDWeb_V1/Imgs/*.jpg and ReDWeb_V1/RDs/*.png, a map for every image."""

    def open_splits(self, folder: Path) -> dict[str, RawSplit]:
        """Finds the images; `folder` may also be ReDWeb_V1 itself."""
        top = folder if (folder / "Imgs").is_dir() else folder / "ReDWeb_V1"
        if not (top / "Imgs").is_dir() or not (top / "RDs").is_dir():
            raise self.layout_error(folder, "ReDWeb_V1/Imgs/ and ReDWeb_V1/RDs/")
        entries = [
            FrameFiles(folder, path.relative_to(folder).as_posix(), top / "RDs" / f"{name}.png")
            for name, path in find_images(top / "Imgs").items()
        ]
        return {"train": self.frames(folder, entries, _load)}


def _load(files: FrameFiles) -> Frame:
    frame = load_frame(files)
    codes = read_map(frame.depth, str(files.depth))
    if not codes.any():
        raise UserError(f"{files.depth}: is 0 everywhere; replace it or remove the image")
    if codes.max() > 255:
        raise UserError(f"{files.depth}: has codes above 255; the maps of ReDWeb have 8 bits")
    return frame._replace(depth=encode(np.maximum(codes * 256, 1).astype(np.uint16)))
