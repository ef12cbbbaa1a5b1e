import jax
import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training import teacher
from mdepth_jax.training.config import overlay


def test_no_teacher():
    assert teacher.open_teacher(overlay(teacher={"maps": True})) is None


def test_the_embedded_teacher_lies_on_every_device():
    predict = teacher.open_teacher(overlay(teacher={"run": "embedded"}, data={"log": 4.0}))
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), dtype=np.uint8)
    depth, features = predict(image)
    assert depth.shape == (2, 32, 64, 1)
    assert features.shape[:3] == (2, 16, 32)
    assert len(depth.sharding.device_set) == jax.device_count() == 2
    assert np.isfinite(depth).all()


@pytest.mark.parametrize(
    ("groups", "log"),
    [
        ({}, None),  # the teacher alone sets the unit
        ({"teacher": {"maps": True}}, 2.0),
        ({"loss": {"terms": "dense+pixelwise"}}, 2.0),
        ({"train": {"best_by": "rmse"}}, 2.0),
    ],
)
def test_maps_must_have_the_unit_of_the_teacher(groups, log):
    config = overlay(data={"log": 2.0}, **groups)
    config.teacher.run = "embedded"
    if log is None:
        teacher.open_teacher(config)
    else:
        with pytest.raises(UserError, match=r"trained with data\.log=4\.0; set `config\.data\.log=4\.0`"):
            teacher.open_teacher(config)
