from pathlib import Path

import pytest

from mdepth_jax.data.builders.teacher_job import TeacherJob
from mdepth_jax.data.builders.teacher_presets import PRESETS
from mdepth_jax.errors import UserError

ONE, TWO = (Path("a.onnx"),), (Path("a.onnx"), Path("b.onnx"))


def job(onnx=ONE, **options):
    return TeacherJob(onnx=onnx, source=Path("data"), **options)


@pytest.mark.parametrize(
    ("onnx", "options", "space"),
    [
        (ONE, {}, "depth"),
        (ONE, {"meters": True}, "meters"),
        (ONE, {"inverse": True}, "inverse"),
        (ONE, {"inverse": True, "space": "log"}, "log"),
        (ONE, {"preset": ["tcmonodepth"]}, "inverse"),
        (ONE, {"preset": ["fastdepth"]}, "meters"),
        (TWO, {"preset": ["fastdepth"]}, "log"),
        (TWO, {"preset": ["fastdepth", "midas_small"]}, "inverse"),
        (TWO, {"preset": ["fastdepth", "tcmonodepth"], "space": "log"}, "log"),
    ],
)
def test_the_quantity_follows_from_the_networks(onnx, options, space):
    assert job(onnx, **options).chosen_space == space


def test_flags_replace_the_values_of_a_preset():
    plain, given = job(TWO, preset=["midas_small", "fastdepth"], mean=[0.0, 0.0, 0.0], value_range=255.0).formats
    assert plain.meaning == "inverse relative depth"
    assert plain.mean == (0, 0, 0)
    assert plain.deviation == PRESETS["midas_small"].deviation
    assert given.value_range == 255
    assert job(preset=["depth_anything_v2"], meters=True).formats[0].has_zero  # its metric variants


def test_the_maps_lie_next_to_the_images_unless_told_otherwise():
    assert job().folder == Path("data/teacher")
    assert job(output=Path("maps")).folder == Path("maps")


@pytest.mark.parametrize(
    ("onnx", "options", "message"),
    [
        (TWO, {"preset": ["midas_small"] * 3}, "`preset` names 3 networks for 2 files"),
        (ONE, {"preset": ["midas"]}, "`preset=midas` is unknown; choose from depth_anything_v2"),
        (ONE, {"preset": ["fastdepth"], "inverse": True}, "`preset=fastdepth` predicts depth in meters; leave out"),
        (ONE, {"inverse": True, "meters": True}, "exclude each other"),
        (TWO, {"weights": [1.0]}, "`weights` must be positive, one for each file"),
        (TWO, {"weights": [1.0, 0.0]}, "`weights` must be positive"),
        (ONE, {"size": 0}, "`size` is 0; it must be positive"),
        (ONE, {"scales": [1.0, -1.0]}, "must be positive"),
        (ONE, {"deviation": [1.0, 0.0, 1.0]}, "must be positive"),
        (ONE, {"disagreement": 1.0}, "`disagreement` compares several files"),
        (ONE, {"map_scale": 0.01}, "`map_scale` is the unit of maps in meters"),
        (
            ONE,
            {"preset": ["midas_small"], "space": "log"},
            "unknown shift, which has no logarithm; use `space=inverse`",
        ),
    ],
)
def test_values_that_do_not_fit_together(onnx, options, message):
    with pytest.raises(UserError, match=message):
        job(onnx, **options)
