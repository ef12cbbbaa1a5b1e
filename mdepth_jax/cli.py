"""What all command lines share."""

import errno
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from mdepth_jax.errors import UserError

_WAYS_OUT = {
    errno.ENOSPC: "free some space or write to another place",
    errno.EDQUOT: "free some space or write to another place",
    errno.EACCES: "choose a place that you may use",
    errno.EPERM: "choose a place that you may use",
    errno.EROFS: "choose a place that you may write to",
}


def run(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """Runs a command line: a user's mistake becomes one line on the standard error and exit status 2.

    So do a full disk and a missing permission.

    Args:
        main: Takes the arguments without the program's name; returns the exit status.
    """
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        message = str(error)
    except OSError as error:
        if error.errno not in _WAYS_OUT:
            raise
        subject = f"{error.filename}: " if error.filename else ""
        message = f"{subject}{error.strerror}; {_WAYS_OUT[error.errno]}"
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
