"""Random camera, light and free places of a layout."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mdepth_jax.data.scenery.shading import Lighting
from mdepth_jax.data.scenery.stage import Frame, Stage


class View(NamedTuple):
    """Position of the camera in meters, and its direction in radians."""

    x: float
    y: float
    z: float
    yaw: float
    pitch: float


def draw_pitch(stage: Stage, down: float, up: float) -> float:
    """Draws a pitch in radians: steep with the given probabilities of down and up, otherwise about level."""
    if stage.chance(down):
        return stage.between(-1.1, -0.3)
    if stage.chance(up / (1 - down)):
        return stage.between(0.25, 0.75)
    return 0.13 * stage.rng.standard_normal() - 0.05


def _tint(stage: Stage, strength: float) -> np.ndarray:
    """Draws a color of light between warm and cool."""
    warm = stage.between(-1, 1) * strength
    return np.array([1 + warm, 1 + stage.between(-0.1, 0.1) * strength, 1 - warm], np.float32)


def draw_lighting(stage: Stage, position: tuple[float, float, float], indoors: bool) -> Lighting:
    """Draws the light of a lamp at `position` (indoors) or of a sun in its direction (outdoors)."""
    strength = stage.between(0.8, 2.5) if indoors or stage.chance(0.75) else stage.between(0.0, 0.3)
    fill = np.array([stage.between(-1, 1), stage.between(-0.3, 0.3), stage.between(-1, 1)], np.float32)
    horizon = _tint(stage, 0.15) * stage.between(0.6, 0.95)
    return Lighting(
        position=np.array(position, np.float32),
        color=_tint(stage, 0.3) * strength,
        reach=stage.between(2.5, 8.0) if indoors else math.inf,
        ambient=_tint(stage, 0.15) * stage.between(0.3, 0.6),
        fill=fill * stage.between(0.1, 0.5),
        horizon=np.minimum(horizon, 1),
        zenith=horizon * np.array([stage.between(0.25, 0.8), stage.between(0.5, 0.85), 1], np.float32),
        haze=stage.between(0.002, 0.02) if not indoors and stage.chance(0.5) else 0.0,
        exposure=stage.between(0.15, 0.4),
        noise=stage.between(0.0, 0.02),
    )


class Places:
    """Free circles on the ground within a rectangle, most of them in the camera's view.

    Args:
        stage: Stage of the scene.
        view: Camera, which keeps half a meter free.
        bounds: Smallest and largest x, smallest and largest z of the rectangle, in meters.
    """

    def __init__(self, stage: Stage, view: View, bounds: tuple[float, float, float, float]):
        self._stage, self._view, self._bounds = stage, view, bounds
        self._taken = [(view.x, view.z, 0.5)]

    def find(self, radius: float, near: float, far: float) -> Frame | None:
        """Draws a free circle and reserves it.

        Args:
            radius: Radius of the circle in meters.
            near: Smallest distance from the camera in meters.
            far: Largest distance from the camera in meters.

        Returns:
            A frame in a random orientation; None if no free circle was found.
        """
        stage, view = self._stage, self._view
        left, right, front, back = self._bounds
        for _ in range(6):
            angle = view.yaw + stage.between(-0.75, 0.75)
            distance = near * (far / near) ** stage.between(0, 1)
            x, z = view.x + distance * math.sin(angle), view.z + distance * math.cos(angle)
            inside = left + radius < x < right - radius and front + radius < z < back - radius
            if inside and all((x - a) ** 2 + (z - b) ** 2 > (radius + r) ** 2 for a, b, r in self._taken):
                self._taken.append((x, z, radius))
                return Frame(stage, x, 0.0, z, stage.between(0, 2 * math.pi))
        return None

    def fill(self, things: tuple[Callable, ...], count: int, radius: float, near: float, far: float) -> None:
        """Puts up to `count` random things in free circles, see `find`."""
        for _ in range(count):
            place = self.find(radius, near, far)
            if place:
                self._stage.pick(things)(place)
