"""The one exception that a user's mistake raises."""


class UserError(Exception):
    """A mistake in what the user gave: the message names the file and line, or the argument, and the way out.

    An argument of a function or a key of a configuration stands between backticks, with or without a value:
    "`height` is 100; it must be a multiple of 32", "set `config.teacher.maps=False`". Nothing else in a message does:
    `mdepth_jax.cli.run` spells what stands there as the flag of the same name.
    """
