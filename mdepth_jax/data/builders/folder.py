"""Any folder of images with depth maps, for TFDS."""

from pathlib import Path

from mdepth_jax.data.builders.base import DepthBuilder
from mdepth_jax.data.builders.frames import load_files
from mdepth_jax.data.builders.raw import RawSource
from mdepth_jax.data.listing import find_images, scan_list


class DepthFolder(DepthBuilder):
    """A folder with images/, depth/ and lists of splits, prepared like every `DepthBuilder`.

    Each `<split>.txt` names the images of a split, one a line; without lists all images are the split `train`.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
A folder with images/<name>.<jpg, png, ...>, depth/<name>.png (grey, 8 or 16 bits, 0 = unknown) for every image and,
if there are splits, <split>.txt with one <name> per line."""

    def open_splits(self, source: Path) -> dict[str, RawSource]:
        """Finds the images of each list."""
        if not (source / "images").is_dir() or not (source / "depth").is_dir():
            raise self.layout_error(source, "images/ and depth/")
        images = find_images(source / "images")
        splits = {}
        for file in sorted(source.glob("*.txt")):
            found, problems = scan_list(file, images)
            self.report(problems)
            splits[file.stem] = list(found.values())
        return {
            split: self.frames(source, [_files(source, path) for path in paths], load_files)
            for split, paths in (splits or {"train": list(images.values())}).items()
        }


def _files(source: Path, image: Path) -> tuple[Path, str, Path]:
    below = image.relative_to(source / "images").with_suffix(".png")
    return source, image.relative_to(source).as_posix(), source / "depth" / below
