import numpy as np
import pytest

from mdepth_jax.data.scenery.raycast import Camera, camera_axes, trace
from mdepth_jax.data.scenery.stage import Stage
from mdepth_jax.data.scenery.views import draw_lighting


@pytest.fixture
def stage():
    return Stage(np.random.default_rng(0))


@pytest.fixture
def finish():
    """Finishes a stage with any camera and light: `finish(stage)` returns the scene."""

    def run(stage):
        camera = Camera(np.zeros(3, np.float32), camera_axes(0.0, 0.0, 0.0), 20.0, 18, 24)
        return stage.finish(camera, draw_lighting(stage, (0.0, 9.0, 0.0), indoors=True))

    return run


@pytest.fixture
def level_view():
    """Traces a layout from its camera in a level direction: `level_view(layout, seed)` returns depth and index."""

    def run(layout, seed):
        stage = Stage(np.random.default_rng(seed))
        view, lighting = layout(stage)
        camera = Camera(np.array(view[:3], np.float32), camera_axes(view.yaw, 0.0, 0.0), 20.0, 18, 24)
        return trace(stage.finish(camera, lighting).solids, camera)

    return run
