"""Random scenes: a layout, its camera and its light."""

import math

import numpy as np

from mdepth_jax.data.scenery.indoors import corridor, hall, room, table_top
from mdepth_jax.data.scenery.outdoors import hills, park, street
from mdepth_jax.data.scenery.raycast import Camera, camera_axes
from mdepth_jax.data.scenery.shading import Scene
from mdepth_jax.data.scenery.stage import Stage

LAYOUTS = (room, room, room, corridor, hall, hall, table_top, street, street, park, park, hills)
"""Layouts, repeated by the frequency with which they are drawn."""


def make_scene(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Draws a scene.

    Args:
        rng: Random generator.
        height: Image height in pixels.
        width: Image width in pixels.
    """
    stage = Stage(rng)
    layout = stage.pick(LAYOUTS)
    view, lighting = layout(stage)
    roll = stage.between(-0.5, 0.5) if stage.chance(0.15) else 0.06 * rng.standard_normal()
    focal = math.sqrt(height * width) * math.exp(stage.between(math.log(0.6), math.log(1.3)))
    position = np.array([view.x, view.y, view.z], np.float32)
    camera = Camera(position, camera_axes(view.yaw, view.pitch, roll), focal, height, width)
    return stage.finish(camera, lighting)
