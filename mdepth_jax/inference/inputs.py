"""Finds the images and videos that a user names."""

import glob
from collections.abc import Sequence
from pathlib import Path

from mdepth_jax.data.listing import IMAGE_SUFFIXES, find_images
from mdepth_jax.errors import UserError
from mdepth_jax.inference.video import VIDEO_SUFFIXES


def find_inputs(patterns: Sequence[str]) -> dict[str, Path]:
    """Finds images and videos.

    Args:
        patterns: Files, folders and glob patterns. Of a folder all images below it are meant.

    Returns:
        The files by the names of their output: the stem of the file, or its path below the folder without suffix.

    Raises:
        UserError: If a pattern matches nothing, or two files share a name.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for name, path in _matches(pattern).items():
            if found.setdefault(name, path) != path:
                raise UserError(f"{path}: shares its name with {found[name]}; use two runs or give a common folder")
    return found


def _matches(pattern: str) -> dict[str, Path]:
    path = Path(pattern)
    if path.is_dir():
        return find_images(path)
    if path.is_file():
        return {path.stem: path}
    paths = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]
    paths = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES]
    if not paths:
        raise UserError(f"{pattern}: no such file or folder, and no image or video matches it as a pattern")
    found = {path.stem: path for path in paths}
    if len(found) < len(paths):
        raise UserError(f"{pattern}: matches several files of one name; give their common folder")
    return found
