"""Construction of a scene: random draws, materials by family, solids in rotated frames."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mdepth_jax.data.scenery.raycast import BOX, CYLINDER, ELLIPSOID, ROOF, Camera, make_solids
from mdepth_jax.data.scenery.shading import Lighting, Scene, make_materials

STYLES = {
    # name: (patterns, hue, saturation, value, cell size in meters), each a range to draw from
    "floor": (
        ("wood", "tiles", "checker", "stripes x", "noise", "plain"),
        (0.0, 0.2),
        (0.1, 0.6),
        (0.4, 0.9),
        (0.2, 1.0),
    ),
    "carpet": (
        ("checker", "stripes x", "stripes z", "noise"),
        (0.0, 1.0),
        (0.2, 0.8),
        (0.3, 0.9),
        (0.1, 0.5),
    ),
    "wall": (
        ("plain", "plain", "noise", "stripes x", "bricks"),
        (0.0, 1.0),
        (0.0, 0.35),
        (0.5, 0.95),
        (0.1, 0.6),
    ),
    "ceiling": (
        ("plain", "noise", "tiles", "stripes x", "wood"),
        (0.0, 0.2),
        (0.0, 0.2),
        (0.6, 0.95),
        (0.3, 1.0),
    ),
    "wood": (("wood", "wood", "stripes x", "plain"), (0.04, 0.12), (0.3, 0.7), (0.25, 0.8), (0.08, 0.3)),
    "cloth": (("plain", "noise", "stripes y", "checker"), (0.0, 1.0), (0.1, 0.9), (0.15, 0.9), (0.05, 0.2)),
    "skin": (("plain",), (0.03, 0.09), (0.25, 0.6), (0.25, 0.95), (0.1, 0.2)),
    "hair": (("noise",), (0.02, 0.12), (0.1, 0.7), (0.05, 0.5), (0.03, 0.1)),
    "any": (
        ("plain", "noise", "checker", "stripes y", "stripes x", "wood"),
        (0.0, 1.0),
        (0.0, 0.9),
        (0.2, 0.95),
        (0.05, 0.4),
    ),
    "glass": (("plain", "noise"), (0.5, 0.62), (0.1, 0.5), (0.3, 0.9), (0.2, 0.5)),
    "stone": (("noise", "bricks", "tiles", "plain"), (0.05, 0.15), (0.0, 0.3), (0.3, 0.8), (0.15, 0.5)),
    "facade": (
        ("windows", "windows", "bricks", "stripes y", "plain"),
        (0.0, 0.6),
        (0.05, 0.5),
        (0.4, 0.95),
        (0.8, 2.5),
    ),
    "roof": (("bricks", "stripes y", "noise"), (0.0, 0.08), (0.2, 0.7), (0.2, 0.7), (0.2, 0.5)),
    "asphalt": (("noise", "plain"), (0.0, 1.0), (0.0, 0.1), (0.15, 0.45), (0.2, 1.0)),
    "paving": (("tiles", "bricks", "checker", "noise"), (0.05, 0.15), (0.0, 0.3), (0.35, 0.8), (0.3, 1.2)),
    "grass": (("noise",), (0.17, 0.33), (0.3, 0.8), (0.25, 0.7), (0.2, 1.5)),
    "soil": (("noise", "noise", "stripes x"), (0.05, 0.15), (0.2, 0.6), (0.3, 0.8), (0.3, 2.0)),
    "leaf": (("noise",), (0.12, 0.38), (0.4, 0.9), (0.15, 0.6), (0.1, 0.4)),
    "paint": (("plain",), (0.0, 1.0), (0.3, 1.0), (0.2, 0.95), (0.3, 0.6)),
    "white": (("plain",), (0.0, 1.0), (0.0, 0.05), (0.85, 1.0), (0.3, 0.6)),
    "black": (("plain",), (0.0, 1.0), (0.0, 0.2), (0.05, 0.2), (0.3, 0.6)),
}
"""Families of materials, by name."""

Number = float | int
Triple = tuple[Number, Number, Number]


class Stage:
    """A scene under construction, with its random generator.

    Args:
        rng: Random generator of everything in the scene.
    """

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self._solids: list[tuple[int, Triple, Triple, Triple]] = []
        self._material: list[int] = []
        self._casts: list[bool] = []
        self._styles: list[tuple[str, Triple, float]] = []

    def between(self, low: Number, high: Number) -> float:
        """Draws a number uniformly."""
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        """Draws True with a probability."""
        return self.rng.random() < probability

    def pick(self, items: Sequence):
        """Draws one of `items`."""
        return items[int(self.rng.random() * len(items))]

    def several(self, most: int) -> range:
        """Draws a number of repetitions, from 0 to `most`, as a range."""
        return range(int(self.rng.random() * (most + 1)))

    def material(self, style: str) -> int:
        """Adds a random material of a family in STYLES and returns its number."""
        patterns, *ranges = STYLES[style]
        hue, saturation, value, size = (self.between(*limits) for limits in ranges)
        self._styles.append((self.pick(patterns), (hue, saturation, value), size))
        return len(self._styles) - 1

    def add(self, kind: int, center: Triple, half: Triple, angles: Triple, material: int, casts: bool) -> None:
        """Adds a solid, see `make_solids`.

        Args:
            kind: BOX, ROOF, ELLIPSOID or CYLINDER.
            center: (x, y, z) in meters.
            half: Half extents in meters.
            angles: (yaw, tilt, roll) in radians.
            material: Number of its material.
            casts: Whether it casts a shadow.
        """
        self._solids.append((kind, center, half, angles))
        self._material.append(material)
        self._casts.append(casts)

    def finish(self, camera: Camera, lighting: Lighting) -> Scene:
        """Returns the scene."""
        patterns, colors, sizes = zip(*self._styles, strict=True)
        materials = make_materials(patterns, colors, sizes, self.rng)
        solids = make_solids(*zip(*self._solids, strict=True))
        return Scene(solids, np.array(self._material), np.array(self._casts), materials, lighting, camera)


class Frame(NamedTuple):
    """Local coordinate system of a thing on the stage, rotated about the vertical.

    Attributes:
        stage: Stage to which solids are added.
        x: Position of the origin in meters.
        y: Height of the origin in meters.
        z: Position of the origin in meters.
        yaw: Rotation about the vertical in radians.
    """

    stage: Stage
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0

    def at(self, x: Number, y: Number, z: Number, yaw: Number = 0) -> "Frame":
        """Returns a frame inside this one."""
        s, c = math.sin(self.yaw), math.cos(self.yaw)
        return Frame(self.stage, self.x + c * x + s * z, self.y + y, self.z - s * x + c * z, self.yaw + yaw)

    def _put(
        self, kind: int, center: Triple, half: Triple, material: int, tilt: float, roll: float, casts: bool
    ) -> None:
        place = self.at(*center)
        self.stage.add(kind, place[1:4], half, (self.yaw, tilt, roll), material, casts)

    def box(self, center: Triple, half: Triple, material: int, tilt=0.0, roll=0.0, casts=True) -> None:
        """Adds a box with half extents `half`."""
        self._put(BOX, center, half, material, tilt, roll, casts)

    def ellipsoid(self, center: Triple, half: Triple, material: int, tilt=0.0, roll=0.0, casts=True) -> None:
        """Adds an ellipsoid with semi-axes `half`."""
        self._put(ELLIPSOID, center, half, material, tilt, roll, casts)

    def cylinder(self, center: Triple, half: Triple, material: int, tilt=0.0, roll=0.0, casts=True) -> None:
        """Adds a cylinder about y with half extents `half`."""
        self._put(CYLINDER, center, half, material, tilt, roll, casts)

    def roof(self, center: Triple, half: Triple, material: int) -> None:
        """Adds a double gable roof whose ridge runs along z; its lower half has to be hidden."""
        self._put(ROOF, center, half, material, 0.0, 0.0, True)
