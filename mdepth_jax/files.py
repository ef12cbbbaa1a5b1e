"""Files that are whole or not there."""

import json
import pathlib
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


def write_whole(path: pathlib.Path, text: str) -> None:
    """Writes a text file; after a crash on the way the old one, if any, is still there."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
