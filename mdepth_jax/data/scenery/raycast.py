"""Exact ray casting of simple solids in NumPy: visible surface, depth and cast shadows.

Every solid is a unit solid under an affine map, so that all share one intersection test. A primary ray has length one
along the optical axis, so that its parameter IS the depth. The world has y up; the camera has x right, y down, z
forward.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Int16

FAR = 100.0
"""Depth of the sky and of everything beyond it, in meters."""

NEAR = 0.05
"""Smallest visible depth, in meters."""

BOX, ROOF, ELLIPSOID, CYLINDER = range(4)
"""Unit solids: cube, gable roof (|x| + |y| <= 1, |z| <= 1), ball, upright cylinder; all inside [-1, 1]^3."""

_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
_ROOF_SLABS = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])


class Camera(NamedTuple):
    """A pinhole camera.

    Attributes:
        position: Position in the world, in meters.
        axes: Directions to the right, down and forward of the camera in the world, one per row.
        focal: Focal length in pixels.
        height: Image height in pixels; the optical axis passes through the image center.
        width: Image width in pixels.
    """

    position: Float32[np.ndarray, "3"]
    axes: Float32[np.ndarray, "3 3"]
    focal: float
    height: int
    width: int

    def columns(self) -> Float32[np.ndarray, "width"]:
        """Returns the horizontal slope x/z of the rays through the pixels of a row."""
        return ((np.arange(self.width) + 0.5 - self.width / 2) / self.focal).astype(np.float32)

    def rows(self) -> Float32[np.ndarray, "height"]:
        """Returns the vertical slope y/z of the rays through the pixels of a column."""
        return ((np.arange(self.height) + 0.5 - self.height / 2) / self.focal).astype(np.float32)


def camera_axes(yaw: float, pitch: float, roll: float) -> Float32[np.ndarray, "3 3"]:
    """Computes a camera's `axes` from angles in radians; yaw turns from +z to +x, positive pitch looks up."""
    sy, cy, sp, cp, sr, cr = (f(a) for a in (yaw, pitch, roll) for f in (np.sin, np.cos))
    right = np.array([cy, 0.0, -sy])
    down = np.array([sy * sp, -cp, cy * sp])
    forward = np.array([sy * cp, sp, cy * cp])
    return np.stack([cr * right + sr * down, cr * down - sr * right, forward]).astype(np.float32)


class Solids(NamedTuple):
    """Solids in the world.

    Attributes:
        kind: BOX, ROOF, ELLIPSOID or CYLINDER.
        center: Centers in the world, in meters.
        half: Half extents along the solid's own axes, in meters.
        to_local: Matrices from an offset in the world from `center` to the space of the unit solid.
        corners: Corners of the bounding parallelepiped in the world.
    """

    kind: Int[np.ndarray, "solids"]
    center: Float32[np.ndarray, "solids 3"]
    half: Float32[np.ndarray, "solids 3"]
    to_local: Float32[np.ndarray, "solids 3 3"]
    corners: Float32[np.ndarray, "solids 8 3"]


def make_solids(kind: Sequence[int], center: Sequence, half: Sequence, angles: Sequence) -> Solids:
    """Places unit solids in the world.

    Args:
        kind: BOX, ROOF, ELLIPSOID or CYLINDER, per solid.
        center: (x, y, z) in meters, per solid.
        half: Half extents in meters, per solid.
        angles: (yaw, tilt, roll) in radians, per solid: rotation about z by roll, then x by tilt, then y by yaw.
    """
    kinds, centers, halves = np.array(kind), np.array(center, np.float64), np.array(half, np.float64)
    sine, cosine = np.sin(angles).T, np.cos(angles).T
    zero, one = np.zeros(len(kinds)), np.ones(len(kinds))
    yaw = np.stack([cosine[0], zero, sine[0], zero, one, zero, -sine[0], zero, cosine[0]], -1)
    tilt = np.stack([one, zero, zero, zero, cosine[1], -sine[1], zero, sine[1], cosine[1]], -1)
    roll = np.stack([cosine[2], -sine[2], zero, sine[2], cosine[2], zero, zero, zero, one], -1)
    rotation = yaw.reshape(-1, 3, 3) @ tilt.reshape(-1, 3, 3) @ roll.reshape(-1, 3, 3)
    to_world = rotation * halves[:, None, :]
    to_local = rotation.transpose(0, 2, 1) / halves[:, :, None]
    to_local[kinds == ROOF] = _ROOF_SLABS @ to_local[kinds == ROOF]
    corners = centers[:, None] + _CORNERS @ to_world.transpose(0, 2, 1)
    single = (array.astype(np.float32) for array in (centers, halves, to_local, corners))
    return Solids(kinds, *single)


def _slab(origin, direction):
    """Computes the ray interval with |x| <= 1 along one axis."""
    inverse = 1 / direction
    below, above = (-1 - origin) * inverse, (1 - origin) * inverse
    return np.minimum(below, above), np.maximum(below, above)


def _round(origin, direction):
    """Computes the ray interval in the unit ball (three axes) or infinite unit cylinder (two axes); NaN if missed.

    The computation starts from the point of closest approach, which is accurate in float32 for small distant balls.
    """
    square = sum(d * d for d in direction)
    middle = -sum(o * d for o, d in zip(origin, direction, strict=True)) / square
    closest = sum((o + middle * d) ** 2 for o, d in zip(origin, direction, strict=True))
    reach = np.sqrt((1 - closest) / square)
    return middle - reach, middle + reach


def _interval(kind: int, origin, direction):
    """Computes the ray parameters at which rays enter and leave a unit solid; entry < exit if they hit it."""
    if kind == ELLIPSOID:
        return _round(origin, direction)
    if kind == CYLINDER:
        pieces = [_round(origin[::2], direction[::2]), _slab(origin[1], direction[1])]
    else:
        pieces = [_slab(o, d) for o, d in zip(origin, direction, strict=True)]
    entry, leave = pieces[0]
    for near, far in pieces[1:]:
        entry, leave = np.maximum(entry, near), np.minimum(leave, far)
    return entry, leave


def _screen_boxes(solids: Solids, camera: Camera) -> Int[np.ndarray, "solids 4"]:
    """Bounds the pixels of each solid: top, bottom, left, right, half open; all if it is partly behind the camera."""
    local = (solids.corners - camera.position) @ camera.axes.T
    z = local[..., 2]
    behind = z < NEAR
    x, y = (camera.focal * local[..., i] / np.where(behind, 1, z) for i in (0, 1))
    x, y = x + camera.width / 2, y + camera.height / 2
    boxes = np.stack([y.min(1), y.max(1) + 1, x.min(1), x.max(1) + 1], -1)
    boxes[behind.any(1)] = (0, camera.height, 0, camera.width)
    boxes[behind.all(1)] = 0
    limits = np.array([camera.height, camera.height, camera.width, camera.width])
    return np.clip(boxes, 0, limits).astype(np.int64)


def trace(
    solids: Solids, camera: Camera
) -> tuple[Float32[np.ndarray, "height width"], Int16[np.ndarray, "height width"]]:
    """Finds the visible surface of every pixel.

    Returns:
        Depth along the optical axis in meters (FAR for the sky), and the index of the visible solid (-1 for
        the sky). A solid that contains the camera is invisible.
    """
    depth = np.full((camera.height, camera.width), FAR, np.float32)
    index = np.full(depth.shape, -1, np.int16)
    u, v = camera.columns(), camera.rows()[:, None]
    origins = np.einsum("nij,nj->ni", solids.to_local, camera.position - solids.center)
    bases = solids.to_local @ camera.axes.T
    kinds = solids.kind.tolist()
    with np.errstate(all="ignore"):
        for number, (top, bottom, left, right) in enumerate(_screen_boxes(solids, camera).tolist()):
            if top >= bottom or left >= right:
                continue
            columns, rows = u[left:right], v[top:bottom]
            direction = [base[0] * columns + (base[1] * rows + base[2]) for base in bases[number]]
            entry, leave = _interval(kinds[number], origins[number], direction)
            window = depth[top:bottom, left:right]
            visible = (entry < leave) & (entry > NEAR) & (entry < window)
            np.copyto(window, entry, where=visible)
            np.copyto(index[top:bottom, left:right], number, where=visible)
    return depth, index


def in_shadow(
    solids: Solids,
    occluders: Int[np.ndarray, "occluders"],
    points: Float32[np.ndarray, "3 points"],
    light: Float32[np.ndarray, "3"],
    where: Bool[np.ndarray, "points"],
) -> Bool[np.ndarray, "points"]:
    """Computes which points an occluder hides from the light.

    Args:
        solids: Solids of the scene.
        occluders: Indices of the solids that cast a shadow.
        points: Points in the world, in meters, slightly above their surface.
        light: Position of the light in the world, in meters.
        where: Whether a point is tested.

    Returns:
        True for the tested points that are in shadow.
    """
    to_light = light[:, None] - points
    ray = to_light / np.sqrt((to_light * to_light).sum(0))
    to_center = light - solids.center[occluders]
    distance = np.sqrt((to_center**2).sum(1))
    radius = np.sqrt(((solids.corners[occluders, 0] - solids.center[occluders]) ** 2).sum(1))
    aim = to_center / distance[:, None]
    # Squared chord of the occluder's angular radius as the light sees it: 2 - 2 cos a, without cancellation.
    sine = np.minimum(radius / distance, 1)
    chord = 2 * sine**2 / (1 + np.sqrt(1 - sine**2))
    hidden = np.zeros(points.shape[1], bool)
    with np.errstate(all="ignore"):
        for number, (x, y, z), limit in zip(occluders.tolist(), aim.tolist(), chord.tolist(), strict=True):
            near = (ray[0] - x) ** 2 + (ray[1] - y) ** 2 + (ray[2] - z) ** 2 < limit
            candidates = np.flatnonzero(near & where & ~hidden)
            if not candidates.size:
                continue
            offset = points.take(candidates, axis=1) - solids.center[number][:, None]
            toward = to_light.take(candidates, axis=1)
            origin = [row[0] * offset[0] + row[1] * offset[1] + row[2] * offset[2] for row in solids.to_local[number]]
            direction = [
                row[0] * toward[0] + row[1] * toward[1] + row[2] * toward[2] for row in solids.to_local[number]
            ]
            entry, leave = _interval(int(solids.kind[number]), origin, direction)
            hidden[candidates] = (entry < leave) & (leave > 0) & (entry < 1)
    return hidden
