import math

import numpy as np
import pytest

from mdepth_jax.data.scenery import props
from mdepth_jax.data.scenery.stage import Frame, Stage

THINGS = {
    **{
        function.__name__: function
        for function in (
            props.person, props.table, props.chair, props.sofa, props.bed, props.shelf, props.cabinet, props.plant,
            props.tree, props.bush, props.car, props.lamp_post, props.bench, props.stairs, props.pile,
        )
    },
    "trinket": lambda frame: props.trinket(frame, 0.3),
    "house": lambda frame: props.house(frame, 4.0, 5.0, 6.0),
}  # fmt: skip


def build(thing, seed, finish, **frame):
    stage = Stage(np.random.default_rng(seed))
    THINGS[thing](Frame(stage, **frame))
    return finish(stage)


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_stands_on_the_ground(thing, finish):
    for seed in range(8):
        heights = build(thing, seed, finish).solids.corners[..., 1]
        low, high = heights.min(1), heights.max(1)
        assert low.min() < 0.1
        assert 0.05 < high.max() < 15
        assert (high > 0).all()


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_moves_with_its_frame(thing, finish):
    x, y, z, yaw = 3.0, 0.5, -2.0, 0.8
    at_origin, moved = build(thing, 1, finish), build(thing, 1, finish, x=x, y=y, z=z, yaw=yaw)
    sine, cosine = math.sin(yaw), math.cos(yaw)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    expected = at_origin.solids.center @ turn.T + (x, y, z)
    np.testing.assert_allclose(moved.solids.center, expected, atol=1e-5)
    np.testing.assert_array_equal(moved.solids.half, at_origin.solids.half)
    np.testing.assert_array_equal(moved.materials.colors, at_origin.materials.colors)


def test_people_have_the_height_of_people(finish):
    heights = np.array([build("person", seed, finish).solids.corners[..., 1].max() for seed in range(30)])
    assert (heights < 2.0).all()
    assert np.mean(heights > 1.5) > 0.6


def test_stairs_rise_along_z(finish):
    solids = build("stairs", 0, finish).solids
    front, top = solids.corners[..., 2].min(1), solids.corners[..., 1].max(1)
    assert (np.diff(front) > 0).all()
    assert (np.diff(top) > 0).all()
