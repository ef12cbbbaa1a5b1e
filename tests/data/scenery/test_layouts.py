import numpy as np

from mdepth_jax.data.scenery import indoors, outdoors
from mdepth_jax.data.scenery.layouts import LAYOUTS, make_scene


def test_all_layouts_are_drawn():
    assert set(LAYOUTS) == {
        indoors.room, indoors.corridor, indoors.hall, indoors.table_top, outdoors.street, outdoors.park, outdoors.hills,
    }  # fmt: skip


def test_cameras_vary():
    cameras = [make_scene(np.random.default_rng(seed), 18, 24).camera for seed in range(60)]
    pitch = np.degrees(np.arcsin([camera.axes[2, 1] for camera in cameras]))
    assert pitch.min() < -30
    assert pitch.max() > 20
    focal = np.array([camera.focal for camera in cameras])
    assert focal.max() > 1.5 * focal.min()
    assert {(camera.height, camera.width) for camera in cameras} == {(18, 24)}


def test_a_scene_is_a_function_of_the_generator():
    first, again, other = (make_scene(np.random.default_rng(seed), 18, 24) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.solids.corners, again.solids.corners)
    np.testing.assert_array_equal(first.materials.colors, again.materials.colors)
    assert first.camera.focal != other.camera.focal
