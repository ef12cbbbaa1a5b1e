import numpy as np
import pytest

from mdepth_jax.data.scenery.indoors import corridor, hall, room, table_top
from mdepth_jax.data.scenery.raycast import FAR
from mdepth_jax.data.scenery.stage import Stage

LAYOUTS = (room, corridor, hall, table_top)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_room_is_closed(layout, level_view):
    assert all(level_view(layout, seed)[0].max() < FAR for seed in range(10))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_lamp_hangs_above_the_camera_and_has_a_reach(layout):
    for seed in range(10):
        view, lighting = layout(Stage(np.random.default_rng(seed)))
        assert 1.5 < lighting.position[1] < 6
        assert lighting.position[1] > view.y - 0.5
        assert np.isfinite(lighting.reach)
        assert lighting.haze == 0
