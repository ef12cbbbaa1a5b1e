"""Data sets that are written: published ones become records."""
