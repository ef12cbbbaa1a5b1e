"""Things in the scenes, in meters; each stands on the ground of its frame."""

import math

from mdepth_jax.data.scenery.stage import Frame


def person(frame: Frame) -> None:
    """Adds a standing or walking person, 1.5 to 1.9 m tall or a child."""
    stage = frame.stage
    k = stage.between(0.86, 1.08) * (0.65 if stage.chance(0.15) else 1.0)
    shirt, pants, skin = (stage.material(style) for style in ("cloth", "cloth", "skin"))
    stride, spread = stage.between(-0.45, 0.45), stage.between(0.05, 0.5)
    for side in (-1, 1):
        frame.ellipsoid(
            (side * 0.1 * k, 0.43 * k, 0.2 * side * stride * k),
            (0.085 * k, 0.45 * k, 0.1 * k),
            pants,
            side * -stride,
        )
        arm = (side * (0.22 + 0.14 * spread) * k, 1.12 * k, -0.15 * side * stride * k)
        frame.ellipsoid(arm, (0.06 * k, 0.32 * k, 0.06 * k), shirt, side * stride, side * spread)
    frame.ellipsoid((0.0, 1.15 * k, 0.0), (0.2 * k, 0.36 * k, 0.14 * k), shirt)
    frame.ellipsoid((0.0, 1.62 * k, 0.0), (0.09 * k, 0.13 * k, 0.11 * k), skin)
    frame.ellipsoid((0.0, 1.68 * k, -0.03 * k), (0.1 * k, 0.1 * k, 0.1 * k), stage.material("hair"), casts=False)


def table(frame: Frame) -> None:
    """Adds a table with a few things on it."""
    stage = frame.stage
    x, z, top = stage.between(0.4, 1.1), stage.between(0.3, 0.6), stage.between(0.4, 0.85)
    wood = stage.material("wood")
    frame.box((0.0, top - 0.02, 0.0), (x, 0.02, z), wood)
    if stage.chance(0.3):
        frame.cylinder((0.0, top / 2 - 0.02, 0.0), (0.06, top / 2 - 0.02, 0.06), wood)
    else:
        for a in (-1, 1):
            for b in (-1, 1):
                frame.box(
                    (a * (x - 0.06), top / 2 - 0.02, b * (z - 0.06)),
                    (0.03, top / 2 - 0.02, 0.03),
                    wood,
                    casts=False,
                )
    for _ in stage.several(3):
        trinket(
            frame.at(stage.between(-0.8, 0.8) * x, top, stage.between(-0.8, 0.8) * z),
            stage.between(0.08, 0.2),
        )


def chair(frame: Frame) -> None:
    """Adds a chair whose back is at -z."""
    stage = frame.stage
    seat, cover = stage.between(0.4, 0.5), stage.material(stage.pick(("wood", "cloth")))
    frame.box((0.0, seat, 0.0), (0.23, 0.03, 0.23), cover)
    frame.box((0.0, seat + 0.3, -0.21), (0.23, 0.25, 0.02), cover, tilt=-0.1)
    legs = stage.material("wood")
    for a in (-0.2, 0.2):
        for b in (-0.2, 0.2):
            frame.box((a, seat / 2, b), (0.02, seat / 2, 0.02), legs, casts=False)


def sofa(frame: Frame) -> None:
    """Adds a sofa with its back to -z, from z = 0 to 0.9."""
    stage = frame.stage
    x, cloth = stage.between(0.5, 1.1), stage.material("cloth")
    frame.box((0.0, 0.22, 0.45), (x, 0.22, 0.45), cloth)
    frame.box((0.0, 0.45, 0.1), (x, 0.4, 0.1), cloth, casts=False)
    for side in (-x, x):
        frame.box((side, 0.32, 0.45), (0.1, 0.32, 0.45), cloth, casts=False)
    for _ in stage.several(2):
        frame.ellipsoid(
            (stage.between(-0.7, 0.7) * x, 0.6, 0.35),
            (0.2, 0.18, 0.08),
            stage.material("cloth"),
            -0.3,
            casts=False,
        )


def bed(frame: Frame) -> None:
    """Adds a bed with its head at z = 0."""
    stage = frame.stage
    x, sheet = stage.between(0.45, 0.9), stage.material("cloth")
    frame.box((0.0, 0.25, 1.0), (x, 0.25, 1.0), sheet)
    frame.box((0.0, 0.5, 0.03), (x, 0.5, 0.03), stage.material("wood"))
    frame.ellipsoid((0.0, 0.55, 0.35), (0.6 * x, 0.1, 0.2), stage.material("white"), casts=False)


def shelf(frame: Frame) -> None:
    """Adds an open shelf with its back at z = 0."""
    stage = frame.stage
    x, top, wood = stage.between(0.3, 0.8), stage.between(1.0, 2.2), stage.material("wood")
    frame.box((0.0, top / 2, 0.02), (x, top / 2, 0.02), wood)
    for side in (-x, x):
        frame.box((side, top / 2, 0.17), (0.02, top / 2, 0.17), wood)
    for level in range(int(top / 0.4) + 1):
        frame.box((0.0, 0.03 + 0.4 * level, 0.17), (x, 0.02, 0.17), wood, casts=False)
        if level and stage.chance(0.6):
            size = stage.between(0.08, 0.15)
            trinket(frame.at(stage.between(-0.7, 0.7) * x, 0.4 * level - 0.35, 0.17), size)


def cabinet(frame: Frame) -> None:
    """Adds a closed cabinet with its back at z = 0."""
    stage = frame.stage
    x, top, z = stage.between(0.3, 1.0), stage.between(0.5, 2.1), stage.between(0.2, 0.35)
    body = stage.material(stage.pick(("wood", "white", "any")))
    frame.box((0.0, top / 2, z), (x, top / 2, z), body)
    frame.box((0.0, top / 2, 2 * z), (0.01, 0.45 * top, 0.01), stage.material("black"), casts=False)
    if top < 1.3:
        trinket(frame.at(stage.between(-0.7, 0.7) * x, top, z), stage.between(0.1, 0.3))


def trinket(frame: Frame, size: float) -> None:
    """Adds a small thing of about `size` meters that stands on the ground of the frame."""
    stage = frame.stage
    a, b, c = (0.5 * size * stage.between(0.5, 1.0) for _ in range(3))
    frame = frame.at(0, 0, 0, stage.between(0, 3.0))
    put = stage.pick((frame.box, frame.ellipsoid, frame.cylinder))
    put((0.0, b, 0.0), (a, b, a if put == frame.cylinder else c), stage.material("any"))
    if stage.chance(0.3):
        frame.ellipsoid((0.0, 2 * b + 0.5 * a, 0.0), (0.6 * a, 0.6 * a, 0.6 * a), stage.material("any"))


def plant(frame: Frame) -> None:
    """Adds a potted plant."""
    stage = frame.stage
    leaf, height = stage.material("leaf"), stage.between(0.5, 1.5)
    frame.cylinder((0.0, 0.15, 0.0), (0.16, 0.15, 0.16), stage.material("any"))
    for _ in range(4):
        a, b = stage.between(-0.25, 0.25), stage.between(-0.25, 0.25)
        y = stage.between(0.4, 1.0) * height
        frame.ellipsoid((a, y, b), (0.06, 0.3, 0.15), leaf, 2 * b, -2 * a)


def tree(frame: Frame) -> None:
    """Adds a broad-leaved tree or a conifer."""
    stage = frame.stage
    height, leaf = stage.between(3, 9), stage.material("leaf")
    trunk = 0.03 * height
    frame.cylinder((0.0, 0.3 * height, 0.0), (trunk, 0.3 * height, trunk), stage.material("wood"))
    if stage.chance(0.35):
        for level in range(4):
            r = 0.22 * height * (1 - 0.22 * level)
            frame.ellipsoid((0.0, (0.3 + 0.19 * level) * height, 0.0), (r, 0.14 * height, r), leaf)
        return
    for _ in range(4):
        r = stage.between(0.16, 0.26) * height
        a, b = stage.between(-0.15, 0.15) * height, stage.between(-0.15, 0.15) * height
        frame.ellipsoid((a, stage.between(0.6, 0.85) * height, b), (r, 0.8 * r, r), leaf)


def bush(frame: Frame) -> None:
    """Adds a bush or, with the same probability, a rock."""
    stage = frame.stage
    r, material = stage.between(0.25, 0.9), stage.material(stage.pick(("leaf", "stone")))
    frame.ellipsoid((0.0, 0.4 * r, 0.0), (r, 0.8 * r, stage.between(0.7, 1.2) * r), material)
    frame.ellipsoid((0.6 * r, 0.2 * r, 0.2 * r), (0.6 * r, 0.6 * r, 0.6 * r), material)


def house(frame: Frame, x: float, z: float, height: float) -> None:
    """Adds a house with the half widths `x` and `z`: a block, or with a gable roof if it is low."""
    stage = frame.stage
    frame.box((0.0, height / 2, 0.0), (x, height / 2, z), stage.material("facade"))
    frame.box((0.0, 1.1, z), (0.5, 1.1, 0.04), stage.material("wood"), casts=False)
    frame.box((x, 1.1, 0.0), (0.04, 1.1, 0.5), stage.material("wood"), casts=False)
    frame.box((-x, 1.1, 0.0), (0.04, 1.1, 0.5), stage.material("wood"), casts=False)
    if height < 9:
        rise = min(stage.between(0.5, 1.1) * x, height)
        frame.roof((0.0, height, 0.0), (x + 0.25, rise, z - 0.01), stage.material("roof"))


def car(frame: Frame) -> None:
    """Adds a car or a van that heads along z."""
    stage = frame.stage
    paint, black = stage.material("paint"), stage.material("black")
    frame.box((0.0, 0.55, 0.0), (0.85, 0.3, 2.1), paint)
    if stage.chance(0.3):
        frame.box((0.0, 1.3, -0.3), (0.83, 0.5, 1.7), paint)
    else:
        frame.box((0.0, 1.1, -0.2), (0.72, 0.28, 1.1), stage.material("glass"))
        frame.box((0.0, 1.4, -0.2), (0.72, 0.03, 1.05), paint, casts=False)
    for a in (-0.8, 0.8):
        for b in (-1.3, 1.3):
            frame.cylinder((a, 0.32, b), (0.32, 0.1, 0.32), black, roll=math.pi / 2, casts=False)


def lamp_post(frame: Frame) -> None:
    """Adds a street lamp or a sign on a pole."""
    stage = frame.stage
    height, pole = stage.between(2.2, 6.0), stage.material("black")
    frame.cylinder((0.0, height / 2, 0.0), (0.06, height / 2, 0.06), pole)
    if stage.chance(0.5):
        frame.ellipsoid((0.0, height, 0.0), (0.2, 0.2, 0.2), stage.material("white"))
    else:
        frame.box((0.0, height - 0.3, 0.07), (0.3, 0.3, 0.02), stage.material("paint"))


def bench(frame: Frame) -> None:
    """Adds a bench."""
    stage = frame.stage
    wood = stage.material("wood")
    frame.box((0.0, 0.45, 0.0), (0.8, 0.03, 0.22), wood)
    frame.box((0.0, 0.75, -0.22), (0.8, 0.2, 0.02), wood)
    for side in (-0.65, 0.65):
        frame.box((side, 0.21, 0.0), (0.04, 0.21, 0.2), wood)


def stairs(frame: Frame) -> None:
    """Adds a flight of stairs that rises along +z from z = 0."""
    stage = frame.stage
    x, rise, going = stage.between(0.5, 1.6), stage.between(0.14, 0.2), stage.between(0.25, 0.4)
    stone = stage.material(stage.pick(("stone", "wood", "paving")))
    count = 4 + len(stage.several(8))
    for step in range(1, count):
        depth = (count - step) * going / 2
        frame.box((0.0, rise * (step - 0.5), going * step + depth), (x, rise / 2, depth), stone, casts=step % 3 == 0)


def pile(frame: Frame) -> None:
    """Adds a pile of boxes, or a row of balls."""
    stage = frame.stage
    size = stage.between(0.25, 0.6)
    if stage.chance(0.3):
        for x in (-size, 0.0, size):
            frame.ellipsoid(
                (x, size / 2, stage.between(-0.4, 0.4)), (size / 2, size / 2, size / 2), stage.material("any")
            )
        return
    y = 0.0
    for _ in range(1 + len(stage.several(2))):
        turned, half = frame.at(0, y, 0, stage.between(-0.5, 0.5)), size * stage.between(0.3, 0.5)
        turned.box((0.0, half, 0.0), (size / 2, half, size / 2), stage.material("any"))
        y += 2 * half
