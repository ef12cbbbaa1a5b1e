"""Shading of the rendered scenes: solid textures, light and sensor."""

import colorsys
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int16, UInt8

from mdepth_jax.data.scenery.raycast import CYLINDER, ELLIPSOID, Camera, Solids, in_shadow

_NOISE, _CHECKER, _GRID, _WOOD = range(4)
_LONG = 1e6
_MAX_OCCLUDERS = 32

PATTERNS = {
    # name: (formula, cell along x, y, z, share of the cell in the first color, shift of every other row)
    "plain": (_NOISE, 1, 1, 1, 1, 0),
    "noise": (_NOISE, 1, 1, 1, 1, 0),
    "wood": (_WOOD, 1, 1, 1, 1, 0),
    "checker": (_CHECKER, 1, 1, 1, 1, 0),
    "tiles": (_GRID, 1, 1, 1, 0.92, 0),
    "bricks": (_GRID, 2, 1, 2, 0.88, 0.5),
    "windows": (_GRID, 1, 1.3, 1, 0.55, 0),
    "stripes x": (_GRID, 1, _LONG, _LONG, 0.5, 0),
    "stripes y": (_GRID, _LONG, 1, _LONG, 0.5, 0),
    "stripes z": (_GRID, _LONG, _LONG, 1, 0.5, 0),
}
"""Solid textures: functions of the position in the solid, for a box, a ball and a floor alike."""


class Materials(NamedTuple):
    """Textures, one row per material.

    Attributes:
        colors: Two colors of the pattern, linear RGB in [0, 1].
        formula: Kind of the pattern.
        cell: Size of a cell of the pattern along x, y, z, in meters.
        phase: Offset of the pattern, in cells.
        share: Share of a cell that has the first color.
        shift: Shift of every other row, in cells.
        grain: Strength of a fine noise over the pattern.
    """

    colors: Float32[np.ndarray, "materials 2 3"]
    formula: Int[np.ndarray, "materials"]
    cell: Float32[np.ndarray, "materials 3"]
    phase: Float32[np.ndarray, "materials 3"]
    share: Float32[np.ndarray, "materials"]
    shift: Float32[np.ndarray, "materials"]
    grain: Float32[np.ndarray, "materials"]


def make_materials(
    pattern: Sequence[str],
    hsv: Sequence[tuple[float, float, float]],
    size: Sequence[float],
    rng: np.random.Generator,
) -> Materials:
    """Creates materials with random variations.

    Args:
        pattern: Key of `PATTERNS`, per material.
        hsv: Color (hue, saturation, value) in [0, 1], per material.
        size: Size of a cell of the pattern in meters, per material.
        rng: Random generator.
    """
    count = len(pattern)
    rows = np.array([PATTERNS[name] for name in pattern], np.float32)
    first = np.array([colorsys.hsv_to_rgb(*color) for color in hsv], np.float32)
    factor = rng.uniform(0.25, 0.8, (count, 1)) * rng.uniform(0.8, 1.2, (count, 3))
    factor[[name == "plain" for name in pattern]] = 0.9
    second = first * factor
    swap = rng.random(count) < 0.5
    first[swap], second[swap] = second[swap], first[swap]
    return Materials(
        colors=np.clip(np.stack([first, second], 1), 0, 1).astype(np.float32),
        formula=rows[:, 0].astype(np.int64),
        cell=rows[:, 1:4] * np.array(size, np.float32)[:, None],
        phase=rng.uniform(0.05, 0.45, (count, 3)).astype(np.float32),
        share=rows[:, 4],
        shift=rows[:, 5],
        grain=rng.uniform(0.0, 0.35, count).astype(np.float32),
    )


class Lighting(NamedTuple):
    """One light that casts shadows, ambient light, the air and the sensor.

    Attributes:
        position: Position of the light in meters; the sun is very far away.
        color: Color of the light, linear RGB.
        reach: Distance in meters at which the light has halved; infinite for the sun.
        ambient: Ambient light from above, linear RGB; half of it comes from below.
        fill: Direction times strength of a weak light without shadows.
        horizon: Color of the sky at the horizon and of the haze.
        zenith: Color of the sky above.
        haze: Share of the light that one meter of air absorbs.
        exposure: Mean brightness of the linear image.
        noise: Half width of the uniform sensor noise, with a full scale of 1.
    """

    position: Float32[np.ndarray, "3"]
    color: Float32[np.ndarray, "3"]
    reach: float
    ambient: Float32[np.ndarray, "3"]
    fill: Float32[np.ndarray, "3"]
    horizon: Float32[np.ndarray, "3"]
    zenith: Float32[np.ndarray, "3"]
    haze: float
    exposure: float
    noise: float


@functools.cache
def _noise_volume() -> UInt8[np.ndarray, "64 64 64"]:
    """Creates smooth periodic noise with features of about eight cells, 0 to 255."""
    volume = np.random.default_rng(0).standard_normal((64, 64, 64), np.float32)
    for axis in (0, 1, 2):
        for _ in range(8):
            volume = np.roll(volume, 1, axis) + 2 * volume + np.roll(volume, -1, axis)
    return np.clip(128 + 64 * volume / volume.std(), 0, 255).astype(np.uint8)


def _noise(x, y, z):
    """Returns smooth noise in [0, 1] with features of about eight units."""
    i, j, k = (axis.astype(np.int32) & 63 for axis in (x, y, z))
    return _noise_volume().ravel().take((i << 12) + (j << 6) + k) * np.float32(1 / 255)


def _gather(table: np.ndarray, rows: Int[np.ndarray, "points"]) -> np.ndarray:
    """Gathers a row of a table for each point, as (values of a row, points)."""
    return np.ascontiguousarray(table.reshape(len(table), -1).T).take(rows, axis=1)


def _texture(materials: Materials, material: Int[np.ndarray, "points"], place, normal, footprint):
    """Computes the linear RGB (3, points) of the textures at `place` (meters in the solid's own axes).

    A pattern fades where a pixel's footprint outgrows its cells, which avoids aliasing at a distance.
    """
    formula, share, shift, strength, smallest = _gather(
        np.stack(
            [materials.formula, materials.share, materials.shift, materials.grain, materials.cell.min(1)], 1
        ).astype(np.float32),
        material,
    )
    x, y, z = place / _gather(materials.cell, material) + _gather(materials.phase, material)
    row = np.floor(y)
    x, z = x + shift * row, z + shift * row
    column, layer = np.floor(x), np.floor(z)
    noise = _noise(12 * x, 12 * y, 12 * z)
    parts = zip((x - column, y - row, z - layer), normal, strict=True)
    inside = [(part < share) | (np.abs(axis) > 0.7) for part, axis in parts]
    parity = 0.5 * (column + row + layer)
    rings = 2 * x + 0.2 * y + 1.5 * noise
    mix = np.where(formula == _GRID, inside[0] & inside[1] & inside[2], noise)
    np.copyto(mix, 2 * (parity - np.floor(parity)), where=formula == _CHECKER)
    np.copyto(mix, rings - np.floor(rings), where=formula == _WOOD)
    mix = 0.5 + (mix - 0.5) * np.clip(1.6 - 1.6 * footprint / smallest, 0, 1)
    grain = 1 + strength * (_noise(*(80 * place)) - 0.5) * np.clip(2 - 20 * footprint, 0, 1)
    first, second = (_gather(materials.colors[:, i], material) for i in (0, 1))
    return (second + (first - second) * mix) * grain


def _surface(solids: Solids, index: Int[np.ndarray, "points"], points: Float32[np.ndarray, "3 points"]):
    """Computes normals in the world and in the solid's axes, and places in meters in the solid's axes, (3, points)."""
    offset = points - _gather(solids.center, index)
    rows = _gather(solids.to_local, index).reshape(3, 3, -1)
    local = (rows * offset).sum(1)
    size = np.abs(local)
    kind = solids.kind.take(index)
    normal = np.where(size == size.max(0), np.sign(local), 0)
    np.copyto(normal, local, where=kind == ELLIPSOID)
    cylinder = kind == CYLINDER
    cap = size[1] > np.sqrt(local[0] ** 2 + local[2] ** 2)
    np.copyto(normal, np.stack([local[0], 0 * local[1], local[2]]), where=cylinder & ~cap)
    np.copyto(normal, np.stack([0 * local[0], local[1], 0 * local[2]]), where=cylinder & cap)
    world = (rows * normal[:, None]).sum(0)
    world /= np.sqrt((world * world).sum(0))
    return world, normal, local * _gather(solids.half, index)


class Scene(NamedTuple):
    """Everything that determines a picture, except for the sensor noise.

    Attributes:
        solids: Solids in the world.
        material: Row in `materials`, per solid.
        casts: Whether a solid casts a shadow.
        materials: Textures.
        lighting: Light, air and sensor.
        camera: Camera that takes the picture.
    """

    solids: Solids
    material: Int[np.ndarray, "solids"]
    casts: Bool[np.ndarray, "solids"]
    materials: Materials
    lighting: Lighting
    camera: Camera


def shade(
    scene: Scene,
    depth: Float32[np.ndarray, "height width"],
    index: Int16[np.ndarray, "height width"],
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "height width 3"]:
    """Renders the picture of a scene as sRGB-like values, 0 to 255.

    Args:
        scene: Scene to render.
        depth: Depth in meters, from `trace`.
        index: Index of the visible solid or -1, from `trace`.
        rng: Random generator of the sensor noise.
    """
    lighting, camera = scene.lighting, scene.camera
    u, v = camera.columns(), camera.rows()[:, None]
    ray = np.stack([(a[0] * u + (a[1] * v + a[2])).ravel() for a in camera.axes.T])
    solid, distance = np.maximum(index, 0).astype(np.intp).ravel(), depth.ravel()
    points = camera.position[:, None] + distance * ray
    normal, own_normal, place = _surface(scene.solids, solid, points)
    length = np.sqrt((ray * ray).sum(0))
    facing = np.abs((normal * ray).sum(0)) / length
    footprint = distance / camera.focal / np.maximum(facing, 0.08)
    image = _texture(scene.materials, scene.material.take(solid), place, own_normal, footprint)
    image *= _illumination(scene, points, normal)
    horizon = lighting.horizon[:, None]
    image = horizon + (image - horizon) * np.exp(-lighting.haze * distance)
    np.copyto(image, _sky(lighting, ray / length), where=index.ravel() < 0)

    image *= lighting.exposure / image.mean()
    image = np.sqrt(np.minimum(image, 1))
    image += lighting.noise * (rng.integers(0, 256, image.shape, np.uint8) / np.float32(128) - 1)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8).T.reshape(*depth.shape, 3)


def _sky(lighting: Lighting, direction):
    """Computes the linear RGB (3, points) of the sky in unit directions: a gradient with clouds."""
    height = np.clip(direction[1], 0.02, 1)
    x, z = (12 * direction[i] / (height + 0.15) for i in (0, 2))
    cloud = _noise(x, z, 200 * lighting.exposure * np.ones_like(x))
    clear = lighting.horizon[:, None] + (lighting.zenith - lighting.horizon)[:, None] * np.sqrt(height)
    return clear + (1 - clear) * 0.6 * np.clip(2 * cloud - 0.9, 0, 1) * np.clip(4 * height, 0, 1)


def _illumination(scene: Scene, points, normal) -> Float[np.ndarray, "3 points"]:
    """Computes the light that falls on the points, linear RGB."""
    solids, lighting = scene.solids, scene.lighting
    to_light = lighting.position[:, None] - points
    square = (to_light * to_light).sum(0)
    direct = (to_light * normal).sum(0) / np.sqrt(square) / (1 + square / np.float32(lighting.reach) ** 2)
    span = np.sqrt(((solids.center - scene.camera.position) ** 2).sum(1))
    apparent = np.where(scene.casts, solids.half.max(1) / span, 0)
    occluders = np.argsort(-apparent, kind="stable")[:_MAX_OCCLUDERS]
    occluders = occluders[apparent[occluders] > 0.015]
    direct[in_shadow(solids, occluders, points + np.float32(0.01) * normal, lighting.position, direct > 0)] = 0
    fill = np.maximum((lighting.fill[:, None] * normal).sum(0), 0)
    ambient = lighting.ambient[:, None] * (0.75 + 0.25 * normal[1] + fill)
    return ambient + lighting.color[:, None] * np.maximum(direct, 0)
