"""Files that appear complete or not at all."""

import contextlib
import csv
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mdepth_jax.errors import UserError


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: If it is not valid JSON; the message names the line.
        OSError: If it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not valid JSON ({error.msg}); correct it or move it away") from None


def hash_file(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_path(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Provides a temporary path for a file that replaces the one at `path` when the block ends.

    If the block raises, the temporary file is removed and the old file at `path`, if any, stays as it was. Devices
    and pipes are written directly.

    Args:
        path: Path of the file; missing folders are created.

    Yields:
        A path in the same folder with the same suffix.

    Raises:
        UserError: If the path cannot be written; before the block is entered.
    """
    target = pathlib.Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not (target.is_file() or target.is_dir()):
        yield path
        return
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a binary file, see `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file in UTF-8 without changing its line ends, see `atomic_path`."""
    write_bytes(path, text.encode())


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes an indented JSON file, see `atomic_path`."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a CSV file with a header, see `atomic_path`.

    Args:
        path: Path of the file.
        rows: Values of each row by the names of their columns; a column that a row lacks is empty there.
    """
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(column for row in rows for column in row)))
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
