"""Indoor layouts: rooms, corridors, halls and table tops."""

import math

from mdepth_jax.data.scenery import props
from mdepth_jax.data.scenery.shading import Lighting
from mdepth_jax.data.scenery.stage import Frame, Stage
from mdepth_jax.data.scenery.views import Places, View, draw_lighting, draw_pitch

FURNITURE = (props.sofa, props.bed, props.shelf, props.cabinet, props.cabinet, props.shelf)
THINGS = (props.table, props.chair, props.chair, props.person, props.person, props.plant, props.pile)


def _build_shell(stage: Stage, x: float, z: float, height: float, wall_style: str = "wall") -> list[Frame]:
    """Builds floor, ceiling and walls at -z, -x, +z, +x; returns a frame per wall, with its z axis into the room."""
    ground = Frame(stage)
    ground.box((0.0, -0.1, 0.0), (x + 0.4, 0.1, z + 0.4), stage.material("floor"), casts=False)
    ground.box((0.0, height + 0.1, 0.0), (x + 0.4, 0.1, z + 0.4), stage.material("ceiling"), casts=False)
    paint = stage.material(wall_style)
    walls = [
        ground.at(0, 0, -z),
        ground.at(-x, 0, 0, math.pi / 2),
        ground.at(0, 0, z, math.pi),
        ground.at(x, 0, 0, -math.pi / 2),
    ]
    for number, wall in enumerate(walls):
        material = stage.material(wall_style) if stage.chance(0.3) else paint
        half = (x, z)[number % 2]
        wall.box((0.0, height / 2, -0.1), (half, height / 2, 0.1), material, casts=False)
        if stage.chance(0.5):
            wall.box((0.0, 0.06, 0.01), (half, 0.06, 0.015), stage.material("white"), casts=False)
    return walls


def _decorate(stage: Stage, wall: Frame, half: float, height: float) -> None:
    """Hangs a door, a window or a picture on a wall and puts furniture against it."""
    position = stage.between(-0.8, 0.8) * half
    kind = stage.pick(("door", "window", "picture", "none"))
    if kind == "door":
        wall.box((position, 1.05, 0.0), (0.52, 1.07, 0.04), stage.material("white"), casts=False)
        wall.box((position, 1.0, 0.02), (0.45, 1.0, 0.04), stage.material("wood"), casts=False)
    elif kind == "window":
        x, y = stage.between(0.4, 1.0), stage.between(0.4, 0.6)
        wall.box((position, 1.5, 0.0), (x + 0.06, y + 0.06, 0.06), stage.material("white"), casts=False)
        wall.box((position, 1.5, 0.03), (x, y, 0.04), stage.material("glass"), casts=False)
    elif kind == "picture":
        x, y = stage.between(0.15, 0.6), stage.between(0.15, 0.45)
        wall.box((position, 1.6, 0.0), (x, y, 0.03), stage.material("any"), casts=False)
    if stage.chance(0.7):
        stage.pick(FURNITURE)(wall.at(stage.between(-0.7, 0.7) * half, 0, 0.02))
    if stage.chance(0.2):
        wall.box((0.0, height - 0.3, 0.2), (half, 0.1, 0.2), stage.material("wood"), casts=False)


def _draw_view(stage: Stage, x: float, z: float, height: float) -> View:
    """Draws a camera that looks across the room."""
    yaw, back = stage.between(0, 2 * math.pi), stage.between(0.3, 0.85)
    y = stage.between(0.35, 0.9) * height if stage.chance(0.4) else stage.between(1.2, 1.8)
    x, z = -math.sin(yaw) * back * (x - 0.4), -math.cos(yaw) * back * (z - 0.4)
    return View(x, min(y, height - 0.4), z, yaw, draw_pitch(stage, 0.2, 0.35))


def _add_lamp(stage: Stage, x: float, z: float, height: float) -> Lighting:
    """Hangs a lamp from the ceiling and draws its light."""
    a, b, y = stage.between(-0.6, 0.6) * x, stage.between(-0.6, 0.6) * z, height - stage.between(0.3, 0.7)
    frame, shade = Frame(stage, a, 0.0, b), stage.material("white")
    frame.cylinder((0.0, (y + height) / 2, 0.0), (0.01, (height - y) / 2, 0.01), shade, casts=False)
    frame.ellipsoid((0.0, y, 0.0), (0.18, 0.12, 0.18), shade, casts=False)
    return draw_lighting(stage, (a, y - 0.05, b), indoors=True)


def room(stage: Stage) -> tuple[View, Lighting]:
    """Builds a living room, bedroom or office."""
    x, z, height = stage.between(1.8, 4.5), stage.between(1.8, 5.0), stage.between(2.3, 3.4)
    view = _draw_view(stage, x, z, height)
    for number, wall in enumerate(_build_shell(stage, x, z, height)):
        _decorate(stage, wall, (x, z)[number % 2], height)
    places = Places(stage, view, (-x, x, -z, z))
    if stage.chance(0.5):
        rug = Frame(stage, yaw=stage.between(-0.3, 0.3))
        half = (stage.between(0.6, 1.5), 0.012, stage.between(0.6, 1.5))
        rug.box((0.0, 0.0, 0.0), half, stage.material("carpet"), casts=False)
    places.fill(THINGS, 2 + len(stage.several(5)), 0.45, 1.2, 6.0)
    return view, _add_lamp(stage, x, z, height)


def corridor(stage: Stage) -> tuple[View, Lighting]:
    """Builds a corridor with door frames, seen along or across."""
    x, z, height = stage.between(0.9, 1.8), stage.between(5, 14), stage.between(2.2, 3.2)
    _build_shell(stage, x, z, height)
    frame, door = stage.material("white"), stage.material("wood")
    for _ in range(2 + len(stage.several(5))):
        side, place = stage.pick((-1, 1)), stage.between(-0.9, 0.9) * z
        Frame(stage).box((side * x, 1.05, place), (0.04, 1.05, 0.5), frame, casts=False)
        Frame(stage).box((side * x, 1.0, place), (0.06, 1.0, 0.42), door, casts=False)
    for _ in stage.several(2):
        place, gap = stage.between(-0.5, 0.9) * z, stage.between(0.1, 0.3) * x
        for side in (-1, 1):
            Frame(stage).box((side * x, height / 2, place), (gap, height / 2, 0.15), frame)
        Frame(stage).box((0.0, height, place), (x, 0.3, 0.15), frame, casts=False)
    eye = stage.between(-0.4, 0.4) * x, stage.between(0.6, height - 0.4), -0.9 * z
    view = View(*eye, stage.between(-0.6, 0.6), draw_pitch(stage, 0.15, 0.25))
    Places(stage, view, (-x, x, -z, z)).fill((*THINGS, props.person), 2 + len(stage.several(4)), 0.3, 1.5, z)
    return view, _add_lamp(stage, x, z, height)


def hall(stage: Stage) -> tuple[View, Lighting]:
    """Builds a large hall, station or warehouse with columns and stairs."""
    x, z, height = stage.between(5, 10), stage.between(6, 14), stage.between(3, 6)
    view = _draw_view(stage, x, z, height)
    walls = _build_shell(stage, x, z, height, "stone")
    step, radius, stone = stage.between(2.5, 5), stage.between(0.15, 0.4), stage.material("stone")
    round_columns = stage.chance(0.6)
    for i in range(-1, 2):
        for j in range(-2, 3):
            column = Frame(stage, (i + 0.5) * step, 0.0, (j + 0.5) * step)
            inside = abs(column.x) < x and abs(column.z) < z
            if inside and math.hypot(column.x - view.x, column.z - view.z) > 1.2:
                put = column.cylinder if round_columns else column.box
                put((0.0, height / 2, 0.0), (radius, height / 2, radius), stone)
    if stage.chance(0.5):
        for j in range(-2, 3):
            Frame(stage).box((0.0, height, j * step), (x, 0.25, 0.15), stone, casts=False)
    for number, wall in enumerate(walls):
        _decorate(stage, wall, (x, z)[number % 2], height)
    places = Places(stage, view, (-x, x, -z, z))
    places.fill((props.stairs,), len(stage.several(2)), 2.0, 3.5, 12.0)
    things = (props.person, props.person, props.bench, props.pile, props.plant, props.table)
    places.fill(things, 4, 0.5, 1.5, 10.0)
    return view, _add_lamp(stage, x, z, height)


def table_top(stage: Stage) -> tuple[View, Lighting]:
    """Builds a table with things on it, seen from close by."""
    x, z, height = stage.between(1.5, 4), stage.between(2, 4), stage.between(2.3, 3.2)
    for number, wall in enumerate(_build_shell(stage, x, z, height)):
        _decorate(stage, wall, (x, z)[number % 2], height)
    top, half = stage.between(0.6, 0.9), stage.between(0.4, 0.8)
    Frame(stage).box((0.0, top - 0.03, 0.0), (half * 1.4, 0.03, half), stage.material("wood"))
    Frame(stage).box((0.0, top / 2 - 0.03, 0.0), (0.1, top / 2 - 0.03, 0.1), stage.material("wood"))
    yaw, distance = stage.between(-1.0, 1.0), stage.between(0.7, 1.1)
    for _ in range(4 + len(stage.several(6))):
        a, b = stage.between(-1.2, 1.2) * half, stage.between(-0.9, 0.9) * half
        props.trinket(Frame(stage, a, top, b), stage.between(0.08, 0.35))
    pitch = -stage.between(0.1, 0.9)
    y = min(top + 0.1 - distance * math.tan(pitch), height - 0.2)
    view = View(-distance * math.sin(yaw), y, -distance * math.cos(yaw), yaw, pitch)
    return view, _add_lamp(stage, x, z, height)
