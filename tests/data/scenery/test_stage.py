import colorsys

import numpy as np
import pytest

from mdepth_jax.data.scenery.raycast import BOX, CYLINDER, ELLIPSOID, ROOF
from mdepth_jax.data.scenery.shading import PATTERNS
from mdepth_jax.data.scenery.stage import STYLES, Frame, Stage


def test_draws_stay_in_their_ranges(stage):
    between = [stage.between(-1, 3) for _ in range(300)]
    assert -1 <= min(between) < -0.9
    assert 2.9 < max(between) < 3
    assert {len(stage.several(3)) for _ in range(100)} == {0, 1, 2, 3}
    assert {stage.pick("abc") for _ in range(100)} == {"a", "b", "c"}
    assert np.mean([stage.chance(0.2) for _ in range(1000)]) == pytest.approx(0.2, abs=0.05)
    assert not any(stage.chance(0.0) for _ in range(20))


def test_a_frame_inside_a_frame_turns_with_it(stage):
    inner = Frame(stage, 1.0, 2.0, 3.0, np.pi / 2).at(0.0, 0.5, 2.0, 0.25)
    np.testing.assert_allclose(inner[1:], (3.0, 2.5, 3.0, np.pi / 2 + 0.25))


def test_solids_of_a_frame_are_placed_in_the_world(stage, finish):
    frame, material = Frame(stage, 1.0, 0.0, 0.0, np.pi / 2), stage.material("wood")
    frame.box((0.0, 1.0, 2.0), (1.0, 2.0, 3.0), material, casts=False)
    frame.ellipsoid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), material)
    frame.cylinder((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), stage.material("stone"))
    frame.roof((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), material)
    scene = finish(stage)
    assert scene.solids.kind.tolist() == [BOX, ELLIPSOID, CYLINDER, ROOF]
    assert scene.casts.tolist() == [False, True, True, True]
    assert scene.material.tolist() == [0, 0, 1, 0]
    np.testing.assert_allclose(scene.solids.center[0], (3, 1, 0), atol=1e-6)
    corners = scene.solids.corners[0]
    np.testing.assert_allclose(corners.min(0), (0, -1, -1), atol=1e-6)
    np.testing.assert_allclose(corners.max(0), (6, 3, 1), atol=1e-6)


@pytest.mark.parametrize("style", STYLES)
def test_materials_are_drawn_from_their_family(style, finish):
    stage = Stage(np.random.default_rng(3))
    for number in range(20):
        assert stage.material(style) == number
    Frame(stage).box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0)
    materials = finish(stage).materials
    patterns, hues, saturations, values, sizes = STYLES[style]
    assert set(patterns) <= PATTERNS.keys()
    # Of the two colors of a pattern the brighter one is drawn, the other one is darker.
    for colors in materials.colors.tolist():
        hue, saturation, value = colorsys.rgb_to_hsv(*max(colors, key=sum))
        assert values[0] - 1e-4 <= value <= values[1] + 1e-4
        assert saturations[0] - 1e-4 <= saturation <= saturations[1] + 1e-4
        assert hues[0] - 1e-3 <= hue <= hues[1] + 1e-3 or saturation < 1e-2 or value < 1e-2
    cells = materials.cell.min(1)
    assert (cells >= 0.9 * sizes[0]).all()
    assert (cells <= 1.3 * sizes[1]).all()


def test_a_stage_is_a_function_of_its_generator():
    draws = [[Stage(np.random.default_rng(seed)).between(0, 1) for _ in range(3)] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
