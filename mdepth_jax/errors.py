"""The one exception that a user's mistake raises."""


class UserError(Exception):
    """A mistake in what the user gave: the message names the file and line, or the key, and the way out.

    The command lines print the message alone, without a traceback, and exit with status 2.
    """
