import numpy as np
import pytest

from mdepth_jax.data.scenery import indoors, outdoors
from mdepth_jax.data.scenery.layouts import LAYOUTS, make_scene
from mdepth_jax.data.scenery.raycast import FAR, Camera, camera_axes, trace
from mdepth_jax.data.scenery.stage import Frame, Stage

INDOORS = (indoors.room, indoors.corridor, indoors.hall, indoors.table_top)
OUTDOORS = (outdoors.street, outdoors.park, outdoors.hills)


def level_view(layout, seed):
    """Depth of a layout from its camera, looking level."""
    stage = Stage(np.random.default_rng(seed))
    view, lighting = layout(stage)
    camera = Camera(np.array(view[:3], np.float32), camera_axes(view.yaw, 0.0, 0.0), 20.0, 18, 24)
    return trace(stage.finish(camera, lighting).solids, camera)


def test_all_layouts_are_drawn():
    assert set(LAYOUTS) == {*INDOORS, *OUTDOORS}


@pytest.mark.parametrize("layout", INDOORS)
def test_a_room_is_closed(layout):
    assert all(level_view(layout, seed)[0].max() < FAR for seed in range(10))


@pytest.mark.parametrize("layout", OUTDOORS)
def test_the_ground_below_a_level_horizon_is_seen_and_nothing_swallows_the_camera(layout):
    for seed in range(10):
        depth, index = level_view(layout, seed)
        assert (index[-1] >= 0).all()
        assert depth[-1].max() < FAR


def test_cameras_vary():
    cameras = [make_scene(np.random.default_rng(seed), 18, 24).camera for seed in range(60)]
    pitch = np.degrees(np.arcsin([camera.axes[2, 1] for camera in cameras]))
    assert pitch.min() < -30
    assert pitch.max() > 20
    focal = np.array([camera.focal for camera in cameras])
    assert focal.max() > 1.5 * focal.min()


def test_a_frame_inside_a_frame_turns_with_it():
    stage = Stage(np.random.default_rng(0))
    inner = Frame(stage, 1.0, 2.0, 3.0, np.pi / 2).at(0.0, 0.5, 2.0, 0.25)
    np.testing.assert_allclose(inner[1:], (3.0, 2.5, 3.0, np.pi / 2 + 0.25))
