"""The renderer and the layouts of the embedded scenes."""
