"""Images below a folder, and the lists that name some of them."""

from pathlib import Path

from mdepth_jax.data.images import read_bytes
from mdepth_jax.errors import UserError

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".thumb", ".tif", ".tiff", ".webp"}


def find_images(folder: Path) -> dict[str, Path]:
    """Finds all images below a folder, in alphabetical order.

    Args:
        folder: Folder to search.

    Returns:
        The path of each image by its name, which is the path relative to `folder` without suffix.

    Raises:
        UserError: If there are no images, or two share a name.
    """
    images: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in images:
            raise UserError(f"{path}: shares its name and depth map with {images[name].name}; keep one of them")
        images[name] = path
    if not images:
        raise UserError(f"{folder}: holds no images; put the images there")
    return images


def scan_list(file: Path, images: dict[str, Path]) -> tuple[dict[int, Path], list[UserError]]:
    """Reads the list of a split, one image name per line, with or without suffix.

    Args:
        file: Text file with the list.
        images: Path of each image by its name, from `find_images`.

    Returns:
        The path of each image by its line number from 1, and an error for each line that names no image or one for
        the second time.

    Raises:
        UserError: If the file is missing.
    """
    found: dict[int, Path] = {}
    lines: dict[Path, int] = {}
    problems = []
    for line, text in enumerate(read_bytes(file).decode(errors="replace").splitlines(), 1):
        name = text.strip()
        if not name:
            continue
        path = images.get(name) or images.get(Path(name).with_suffix("").as_posix())
        if path is None:
            problems.append(UserError(f"{file}:{line}: there is no image {name!r}; add it or remove the line"))
        elif path in lines:
            problems.append(UserError(f"{file}:{line}: {name!r} is in line {lines[path]} already; remove one of them"))
        else:
            found[line], lines[path] = path, line
    if not found and not problems:
        problems.append(UserError(f"{file}:1: names no images; write one name per line"))
    return found, problems
