import numpy as np
import pytest

from mdepth_jax.data.scenery.raycast import BOX, ELLIPSOID, Camera, camera_axes, make_solids, trace
from mdepth_jax.data.scenery.shading import Lighting, Scene, make_materials, shade

SIZE = 41


def picture(*solids, light=(0.0, 1000.0, 0.0), pattern="plain", **air):
    """A camera 5 m above the ground looks straight down; up in the image is +z."""
    eye = Camera(np.array([0, 5, 0], np.float32), camera_axes(0.0, -np.pi / 2, 0.0), 20.0, SIZE, SIZE)
    placed = make_solids(*zip((BOX, (0, -1, 0), (50, 1, 50), (0, 0, 0)), *solids, strict=True))
    materials = make_materials([pattern], [(0.0, 0.0, 0.8)], [0.5], np.random.default_rng(0))
    materials = materials._replace(grain=np.zeros(1, np.float32))
    white = np.ones(3, np.float32)
    lighting = Lighting(
        position=np.array(light, np.float32),
        color=white,
        reach=np.inf,
        ambient=0.3 * white,
        fill=0 * white,
        horizon=0.7 * white,
        zenith=0.5 * white,
        haze=0.0,
        exposure=0.2,
        noise=0.0,
    )
    count = len(placed.kind)
    scene = Scene(placed, np.zeros(count, int), np.ones(count, bool), materials, lighting._replace(**air), eye)
    return shade(scene, *trace(placed, eye), np.random.default_rng(0))[..., 0].astype(float)


def test_a_plain_ground_under_the_sun_is_even_at_the_wanted_exposure():
    image = picture()
    assert np.ptp(image) < 12
    assert image.mean() == pytest.approx(255 * np.sqrt(0.2), abs=3)


def test_a_ball_is_bright_toward_the_light_and_casts_a_shadow_away_from_it():
    ball = (ELLIPSOID, (0, 0.6, 0), (0.6, 0.6, 0.6), (0, 0, 0))
    image = picture(ball, light=(-1000.0, 1000.0, 0.0))
    row, center = image[SIZE // 2], SIZE // 2
    assert row[center - 2] > row[center + 2] + 20
    assert row[center + 5] < row[center - 5] - 20
    assert row[-1] == pytest.approx(row[0], abs=8)


def test_a_checker_has_the_cells_of_its_size():
    row = picture(pattern="checker")[SIZE // 2]
    changes = np.flatnonzero(np.abs(np.diff(row)) > 15)
    np.testing.assert_array_equal(np.diff(changes), 2)


def test_haze_reduces_the_contrast_of_distant_things():
    clear, hazy = picture(pattern="checker"), picture(pattern="checker", haze=0.2)
    assert hazy.std() < 0.7 * clear.std()


def test_sensor_noise_is_as_strong_as_asked():
    difference = picture(noise=0.05) - picture()
    # Uniform in +-noise.
    assert difference.std() == pytest.approx(255 * 0.05 / np.sqrt(3), rel=0.1)
