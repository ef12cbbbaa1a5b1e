"""Files that are whole or not there."""

import pathlib


def write_whole(path: pathlib.Path, text: str) -> None:
    """Writes a text file; after a crash on the way the old one, if any, is still there."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
