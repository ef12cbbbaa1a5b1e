"""Files that appear complete or not at all."""

import contextlib
import csv
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mdepth_jax.errors import UserError


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: It is not valid JSON, naming the line.
        OSError: It cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not valid JSON ({error.msg}); mend it or move it away") from None


@contextlib.contextmanager
def atomic_path(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path, in the folder of `path`, for a file that takes its place when the block succeeds.

    After an error the temporary file is removed, and an earlier file at `path` is still there.

    Args:
        path: Path of the file; missing folders are created.

    Raises:
        UserError: If the path cannot be written; before the block is entered.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: pathlib.Path, text: str) -> None:
    """Writes a text file; after a crash on the way the old one, if any, is still there."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def write_csv(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a table as CSV.

    Args:
        path: Path of the file; missing folders are created.
        rows: Values of each row by column; a cell that a row does not have stays empty.

    Raises:
        UserError: If the path cannot be written.
    """
    columns = dict.fromkeys(column for row in rows for column in row)
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, tuple(columns))
        writer.writeheader()
        writer.writerows(rows)
