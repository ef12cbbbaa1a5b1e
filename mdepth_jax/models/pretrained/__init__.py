"""Encoder weights that other projects publish."""
