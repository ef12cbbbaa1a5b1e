"""Shared parts of all command lines: the parser, typed flags, and errors in the words of the command line."""

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from mdepth_jax.errors import UserError

_WAYS_OUT = {
    errno.ENOSPC: "free some space or write to another place",
    errno.EDQUOT: "free some space or write to another place",
    errno.EACCES: "choose a place that you may use",
    errno.EPERM: "choose a place that you may use",
    errno.EROFS: "choose a place that you may write to",
}
_ARGUMENT = re.compile(r"`([a-z]\w*(?:\.\w+)*(?:=[^`]*)?)`")


def make_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    """Builds the parser of a command line.

    Args:
        command: Module that is run, such as `mdepth_jax.train`.
        description: Text of `--help` above the flags: the docstring of the module.
    """
    return argparse.ArgumentParser(
        prog=f"python -m {command}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> Any:
    """Parses a command line into the record of flags that the parser, or its subparser, names.

    Args:
        parser: Parser whose default `flags` is a dataclass with a field for each flag:
            `parser.set_defaults(flags=Flags)`.
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        An instance of that dataclass.

    Raises:
        UserError: If the dataclass refuses the values (in its `__post_init__`).
        SystemExit: If a flag is unknown, missing or of another type, or after `--help`.
    """
    values = vars(parser.parse_args(argv))
    return values.pop("flags")(**values)


def spell_flags(message: object) -> str:
    """Replaces the arguments between backticks in an error's message by the flags of the same names."""
    return _ARGUMENT.sub(r"--\1", str(message))


def run(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """Runs a command line: a user's mistake becomes one line on the standard error and exit status 2.

    So do a full disk and a missing permission.

    Args:
        main: Function of the arguments without the program's name that returns the exit status.
    """
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        message = spell_flags(error)
    except BrokenPipeError:  # the reader of the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _WAYS_OUT:
            raise
        subject = f"{error.filename}: " if error.filename else ""
        message = f"{subject}{error.strerror}; {_WAYS_OUT[error.errno]}"
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
