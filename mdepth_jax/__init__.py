"""Compact monocular relative-depth networks, trained from sparse ordinal labels, for the phone."""

__version__ = "0.1.0"
