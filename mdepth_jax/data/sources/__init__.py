"""Data sets that are read: each a `Source` with random access."""
