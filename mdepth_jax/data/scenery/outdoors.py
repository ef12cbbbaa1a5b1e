"""Outdoor layouts: streets, parks and hills."""

import math

from mdepth_jax.data.scenery import props
from mdepth_jax.data.scenery.shading import Lighting
from mdepth_jax.data.scenery.stage import Frame, Stage
from mdepth_jax.data.scenery.views import Places, View, draw_lighting, draw_pitch

THINGS = (
    props.tree,
    props.tree,
    props.person,
    props.person,
    props.bush,
    props.bench,
    props.lamp_post,
    props.pile,
)


def _draw_sun(stage: Stage) -> Lighting:
    azimuth, height = stage.between(0, 2 * math.pi), stage.between(0.3, 1.3)
    flat = 1000 * math.cos(height)
    return draw_lighting(
        stage, (flat * math.cos(azimuth), 1000 * math.sin(height), flat * math.sin(azimuth)), indoors=False
    )


def _add_ground(stage: Stage, style: str) -> None:
    Frame(stage).box((0.0, -0.5, 0.0), (400.0, 0.5, 400.0), stage.material(style), casts=False)


def _draw_view(stage: Stage, x: float, z: float) -> View:
    height = stage.pick(
        (stage.between(1.3, 1.9), stage.between(1.3, 1.9), stage.between(0.25, 1.0), stage.between(2.5, 9.0))
    )
    down = 0.7 if height > 2.5 else 0.1
    return View(x, height, z, 0.3 * stage.rng.standard_normal(), draw_pitch(stage, down, 0.2))


def street(stage: Stage) -> tuple[View, Lighting]:
    """Builds a street between houses."""
    road, walk = stage.between(2, 5), stage.between(1, 3.5)
    _add_ground(stage, "asphalt")
    paving, edge = stage.material("paving"), road + walk
    for side in (-1, 1):
        Frame(stage).box((side * (road + 15), 0.0, 50.0), (15.0, 0.12, 200.0), paving, casts=False)
        z = stage.between(-8, 0)
        while z < 55:
            x, length, height = stage.between(3, 6), stage.between(3, 7), stage.between(3, 14)
            props.house(Frame(stage, side * (edge + x), 0.0, z + length), x, length, height)
            z += 2 * length + (0 if stage.chance(0.6) else stage.between(1, 8))
        for place in range(3):
            if stage.chance(0.6):
                thing = stage.pick((props.tree, props.lamp_post, props.lamp_post, props.bench, props.bush))
                z = 4 + stage.between(5, 9) * place
                thing(Frame(stage, side * (road + 0.6), 0.12, z, -side * math.pi / 2))
        for place in stage.several(3):
            z = 4 + stage.between(6, 9) * place
            props.car(Frame(stage, side * (road - 1.1), 0.0, z, 0.0 if side > 0 else math.pi))
    marking = stage.material("white")
    for place in range(6):
        Frame(stage).box((0.0, 0.0, 3 + 5.0 * place), (0.08, 0.01, 1.2), marking, casts=False)
    view = _draw_view(stage, stage.between(-0.9, 0.9) * edge, -2.0)
    Places(stage, view, (-edge, edge, 0.0, 40.0)).fill((props.person,), 1 + len(stage.several(5)), 0.4, 2.0, 15.0)
    if stage.chance(0.25):
        bridge = Frame(stage, 0.0, stage.between(4, 6), stage.between(3, 15))
        bridge.box((0.0, 0.0, 0.0), (edge + 1, 0.4, stage.between(1, 4)), stage.material("stone"))
    return view, _draw_sun(stage)


def park(stage: Stage) -> tuple[View, Lighting]:
    """Builds a park, square or yard with trees, people and houses."""
    _add_ground(stage, stage.pick(("grass", "paving", "soil", "grass")))
    view = _draw_view(stage, 0.0, 0.0)
    view = view._replace(yaw=stage.between(0, 2 * math.pi))
    if stage.chance(0.6):
        path = Frame(stage, yaw=view.yaw + stage.between(-0.6, 0.6)).at(stage.between(-2, 2), 0.0, 20.0)
        half = (stage.between(0.6, 2), 0.015, 60.0)
        path.box((0.0, 0.0, 0.0), half, stage.material("paving"), casts=False)
    places = Places(stage, view, (-60.0, 60.0, -60.0, 60.0))
    for _ in stage.several(3):
        place = places.find(6.0, 12.0, 45.0)
        if place:
            props.house(place, stage.between(2.5, 4.5), stage.between(3, 5), stage.between(3, 10))
    if stage.chance(0.3):
        canopy = Frame(stage, view.x, 0.0, view.z, view.yaw)
        height, stone, length = stage.between(2.6, 4), stage.material("stone"), stage.between(3, 8)
        canopy.box((stage.between(-2, 2), height, length / 2), (3.0, 0.15, length / 2 + 2), stage.material("wood"))
        for place_x in (-2.2, 2.2):
            for place_z in (0.5, 0.95):
                canopy.cylinder((place_x, height / 2, place_z * length), (0.15, height / 2, 0.15), stone)
    places.fill(THINGS, 6 + len(stage.several(8)), 0.9, 1.8, 25.0)
    return view, _draw_sun(stage)


def hills(stage: Stage) -> tuple[View, Lighting]:
    """Builds a landscape with hills, trees, rocks and people."""
    _add_ground(stage, stage.pick(("grass", "soil")))
    view = _draw_view(stage, 0.0, 0.0)
    for _ in range(3 + len(stage.several(4))):
        angle, distance = stage.between(-0.9, 0.9), stage.between(12, 75)
        radius = distance * stage.between(0.25, 0.6)
        hill = Frame(stage, distance * math.sin(angle), 0.0, distance * math.cos(angle), stage.between(0, 3))
        size = (radius, radius * stage.between(0.2, 0.7), radius * stage.between(0.8, 1.2))
        hill.ellipsoid((0.0, -0.1 * radius, 0.0), size, stage.material(stage.pick(("grass", "soil", "stone"))))
    places = Places(stage, view, (-60.0, 60.0, -60.0, 60.0))
    things = (props.tree, props.bush, props.bush, props.person, props.pile)
    places.fill(things, 6 + len(stage.several(7)), 1.2, 1.8, 22.0)
    return view, _draw_sun(stage)
