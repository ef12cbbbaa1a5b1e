import numpy as np
import pytest

from mdepth_jax.data.scenery.stage import Stage
from mdepth_jax.data.scenery.views import Places, View, draw_lighting, draw_pitch

VIEW = View(1.0, 1.6, -3.0, 0.4, 0.0)


def test_steep_pitches_are_as_frequent_as_asked(stage):
    pitches = np.array([draw_pitch(stage, 0.3, 0.2) for _ in range(2000)])
    assert np.mean(pitches < -0.6) == pytest.approx(0.3 * 0.5 / 0.8, abs=0.03)
    assert np.mean(pitches > 0.5) == pytest.approx(0.2 * 0.25 / 0.5, abs=0.03)
    level = np.array([draw_pitch(stage, 0.0, 0.0) for _ in range(500)])
    assert np.abs(level).max() < 0.6


def test_places_are_free_and_inside_of_the_bounds():
    bounds = (-8.0, 8.0, -4.0, 12.0)
    for seed in range(5):
        places, circles = Places(Stage(np.random.default_rng(seed)), VIEW, bounds), [(VIEW.x, VIEW.z, 0.5)]
        for radius in (0.3, 0.8, 0.5) * 10:
            frame = places.find(radius, 1.0, 10.0)
            if frame is None:
                continue
            assert bounds[0] + radius < frame.x < bounds[1] - radius
            assert bounds[2] + radius < frame.z < bounds[3] - radius
            assert 1.0 <= np.hypot(frame.x - VIEW.x, frame.z - VIEW.z) <= 10.0
            angle = np.arctan2(frame.x - VIEW.x, frame.z - VIEW.z) - VIEW.yaw
            assert abs(angle) <= 0.75 + 1e-6
            assert all(np.hypot(frame.x - x, frame.z - z) > radius + other for x, z, other in circles)
            circles.append((frame.x, frame.z, radius))
        assert len(circles) > 5


def test_no_place_is_found_where_there_is_none(stage):
    assert Places(stage, VIEW, (-1.0, 1.0, -1.0, 1.0)).find(1.5, 1.0, 5.0) is None


def test_things_are_put_in_free_places(stage):
    places, put = Places(stage, VIEW, (-20.0, 20.0, -20.0, 20.0)), []
    places.fill((put.append,), 5, 0.5, 1.0, 15.0)
    assert 1 < len(put) <= 5
    assert len({(frame.x, frame.z) for frame in put}) == len(put)


def test_the_light_of_a_lamp_fades_and_that_of_the_sun_does_not(stage):
    for _ in range(20):
        lamp = draw_lighting(stage, (0.0, 2.0, 0.0), indoors=True)
        sun = draw_lighting(stage, (0.0, 1000.0, 0.0), indoors=False)
        assert 2.5 <= lamp.reach <= 8
        assert sun.reach == np.inf
        for lighting in (lamp, sun):
            assert (lighting.color >= 0).all()
            assert (lighting.horizon <= 1).all()
            assert 0.15 <= lighting.exposure <= 0.4
