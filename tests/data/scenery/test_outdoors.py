import numpy as np
import pytest

from mdepth_jax.data.scenery.outdoors import hills, park, street
from mdepth_jax.data.scenery.raycast import FAR
from mdepth_jax.data.scenery.stage import Stage

LAYOUTS = (street, park, hills)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_ground_below_a_level_horizon_is_visible_and_no_thing_contains_the_camera(layout, level_view):
    for seed in range(10):
        depth, index = level_view(layout, seed)
        assert (index[-1] >= 0).all()
        assert depth[-1].max() < FAR


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_sun_is_far_away_and_above_the_horizon(layout):
    for seed in range(10):
        view, lighting = layout(Stage(np.random.default_rng(seed)))
        assert np.linalg.norm(lighting.position) == pytest.approx(1000, rel=1e-4)
        assert lighting.position[1] > 250
        assert lighting.reach == np.inf
        assert view.y > 0


def test_the_sky_is_often_visible(level_view):
    visible = [(level_view(layout, seed)[1][0] == -1).any() for layout in LAYOUTS for seed in range(10)]
    assert np.mean(visible) > 0.5
