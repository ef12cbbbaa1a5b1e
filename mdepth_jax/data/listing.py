"""Images below a folder, and the lists that name some of them."""

from pathlib import Path

from mdepth_jax.data.images import read_bytes
from mdepth_jax.errors import UserError

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".thumb", ".tif", ".tiff", ".webp"}


def find_images(folder: Path) -> dict[str, Path]:
    """Every image below a folder by its name: the path from there without suffix, in order.

    Raises:
        UserError: There are none, or two share a name.
    """
    images: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in images:
            raise UserError(f"{path}: shares its name with {images[name].name}, and so its depth map; keep one of them")
        images[name] = path
    if not images:
        raise UserError(f"{folder}: holds no images; put the images there")
    return images


def scan_list(file: Path, images: dict[str, Path]) -> tuple[dict[int, Path], list[UserError]]:
    """The images that a split's list names, one a line, with or without suffix, and what is wrong with its lines.

    Args:
        file: The list.
        images: As of `find_images`.

    Returns:
        The images by line from 1, and an error for each line that names none, or one again.

    Raises:
        UserError: The file is missing.
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
