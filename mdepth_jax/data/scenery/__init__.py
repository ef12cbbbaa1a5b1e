"""Renderer and layouts of the embedded scenes."""
