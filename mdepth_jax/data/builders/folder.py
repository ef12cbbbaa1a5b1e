"""Builder for any folder of images with depth maps."""

from pathlib import Path

from mdepth_jax.data.builders.base import DepthBuilder
from mdepth_jax.data.builders.frames import FrameFiles, load_frame
from mdepth_jax.data.builders.raw import RawSplit
from mdepth_jax.data.listing import find_images, scan_list


class DepthFolder(DepthBuilder):
    """Builder for a folder with images/, depth/ and lists of splits.

    Each `<split>.txt` names the images of a split, one per line; without lists all images are the split `train`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
A folder with images/<name>.<jpg, png, ...>, depth/<name>.png (gray, 8 or 16 bits, 0 = unknown) for every image and,
if there are splits, <split>.txt with one <name> per line."""

    def open_splits(self, folder: Path) -> dict[str, RawSplit]:
        """Finds the images of each list."""
        if not (folder / "images").is_dir() or not (folder / "depth").is_dir():
            raise self.layout_error(folder, "images/ and depth/")
        images = find_images(folder / "images")
        splits = {}
        for file in sorted(folder.glob("*.txt")):
            found, problems = scan_list(file, images)
            self.report(problems)
            splits[file.stem] = list(found.values())
        return {
            split: self.frames(folder, [_frame_files(folder, path) for path in paths], load_frame)
            for split, paths in (splits or {"train": list(images.values())}).items()
        }


def _frame_files(folder: Path, image: Path) -> FrameFiles:
    below = image.relative_to(folder / "images").with_suffix(".png")
    return FrameFiles(folder, image.relative_to(folder).as_posix(), folder / "depth" / below)
