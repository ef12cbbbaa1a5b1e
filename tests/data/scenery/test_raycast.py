import numpy as np
import pytest

from mdepth_jax.data.scenery.raycast import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    FAR,
    ROOF,
    Camera,
    camera_axes,
    in_shadow,
    make_solids,
    trace,
)

HEIGHT, WIDTH, FOCAL = 24, 32, 30.0


def camera(x=0.0, y=0.0, z=0.0, yaw=0.0, pitch=0.0, roll=0.0):
    position = np.array([x, y, z], np.float32)
    return Camera(position, camera_axes(yaw, pitch, roll), FOCAL, HEIGHT, WIDTH)


def slopes():
    u = (np.arange(WIDTH) + 0.5 - WIDTH / 2) / FOCAL
    v = (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / FOCAL
    return np.meshgrid(u, v)


def solid(kind, center, half, angles=(0.0, 0.0, 0.0)):
    return make_solids([kind], [center], [half], [angles])


def test_depth_of_a_wall_is_the_distance_of_its_plane_not_of_its_points():
    depth, index = trace(solid(BOX, (0, 0, 6), (50, 50, 1)), camera())
    np.testing.assert_allclose(depth, 5, rtol=1e-6)
    assert (index == 0).all()


@pytest.mark.parametrize("pitch", [-0.5, 0.0, 0.3])
def test_depth_of_the_ground_follows_the_closed_form(pitch):
    depth, index = trace(solid(BOX, (0, -1, 0), (500, 1, 500)), camera(y=1.5, pitch=pitch))
    _, v = slopes()
    drop = v * np.cos(pitch) - np.sin(pitch)
    expected = np.where(drop > 1.5 / FAR, 1.5 / np.where(drop > 0, drop, 1), FAR)
    np.testing.assert_allclose(depth, expected, rtol=1e-5)
    assert ((index == -1) == (expected == FAR)).all()


def test_a_ray_along_an_axis_through_the_center_of_a_box_hits_it():
    eye = camera()._replace(height=1, width=1)
    assert trace(solid(BOX, (0, 0, 5), (1, 1, 1)), eye)[0] == 4
    assert trace(solid(BOX, (3, 0, 5), (1, 1, 1)), eye)[0] == FAR


def test_depth_of_a_sphere_follows_the_closed_form():
    center, radius = np.array([0.4, -0.2, 5.0]), 1.2
    depth, _ = trace(solid(ELLIPSOID, center, (radius,) * 3), camera())
    ray = np.stack([*slopes(), np.ones((HEIGHT, WIDTH))], -1)
    middle = ray @ (center * (1, -1, 1))
    square = (ray**2).sum(-1)
    root = middle**2 - square * (center @ center - radius**2)
    expected = np.where(root > 0, (middle - np.sqrt(np.maximum(root, 0))) / square, FAR)
    clear = np.abs(root) > 1e-4
    np.testing.assert_allclose(depth[clear], expected[clear], rtol=1e-5)
    assert 50 < (depth < FAR).sum() < depth.size


@pytest.mark.parametrize("kind", [BOX, ROOF, ELLIPSOID, CYLINDER])
def test_traced_points_lie_on_the_surface_of_a_turned_solid_and_all_of_the_solid_is_seen(kind):
    one = solid(kind, (0.3, 0.1, 4.0), (0.7, 0.9, 0.5), (0.5, 0.3, -0.4))
    eye = camera(z=0.5, yaw=0.1, pitch=0.05, roll=0.2)
    depth, _ = trace(one, eye)
    ray = np.stack([*slopes(), np.ones((HEIGHT, WIDTH))], -1) @ eye.axes
    point = (eye.position + depth[..., None] * ray - one.center[0]) @ one.to_local[0].T
    size = np.abs(point)
    level = {
        BOX: size.max(-1),
        ROOF: size.max(-1),
        ELLIPSOID: np.sqrt((point**2).sum(-1)),
        CYLINDER: np.maximum(np.hypot(point[..., 0], point[..., 2]), size[..., 1]),
    }[kind]
    seen = depth < FAR
    assert seen.sum() > 40
    np.testing.assert_allclose(level[seen], 1, atol=1e-5)
    # March along each ray that missed: it must not enter the solid anywhere.
    for t in np.linspace(2, 6, 80):
        place = (eye.position + t * ray[~seen] - one.center[0]) @ one.to_local[0].T
        if kind == ELLIPSOID:
            assert ((place**2).sum(-1) > 1 - 1e-4).all()
        elif kind == CYLINDER:
            assert (np.maximum(np.hypot(place[:, 0], place[:, 2]), np.abs(place[:, 1])) > 1 - 1e-4).all()
        else:
            assert (np.abs(place).max(-1) > 1 - 1e-4).all()


def test_a_roof_is_a_gable():
    one = solid(ROOF, (0, 0, 0), (2.0, 1.0, 3.0))
    ridge, eave, outside = (one.to_local[0] @ np.array(p) for p in ((0, 1, 0), (2, 0, 0), (1.5, 0.5, 0)))
    assert np.abs(ridge).max() == pytest.approx(1)
    assert np.abs(eave).max() == pytest.approx(1)
    assert np.abs(outside).max() > 1


def test_the_nearer_solid_hides_the_farther_one_in_any_order():
    balls = ([ELLIPSOID] * 2, [(0, 0, 9), (0, 0, 4)], [(3, 3, 3), (0.5, 0.5, 0.5)], [(0, 0, 0)] * 2)
    depth, index = trace(make_solids(*balls), camera())
    swapped = make_solids(*(rows[::-1] for rows in balls))
    np.testing.assert_array_equal(trace(swapped, camera())[0], depth)
    assert index[HEIGHT // 2, WIDTH // 2] == 1


def test_solids_behind_or_around_the_camera_are_not_seen():
    behind, around = solid(BOX, (0, 0, -5), (1, 1, 1)), solid(ELLIPSOID, (0, 0, 0), (2, 2, 2))
    for one in (behind, around):
        assert (trace(one, camera())[1] == -1).all()


def test_yaw_turns_right_pitch_looks_up_and_roll_keeps_the_axes_orthonormal():
    axes = camera_axes(0.4, 0.3, 0.2)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
    assert camera_axes(0.4, 0.0, 0.0)[2, 0] > 0
    assert camera_axes(0.0, 0.3, 0.0)[2, 1] > 0
    np.testing.assert_allclose(camera_axes(0.0, 0.0, 0.0), np.diag([1, -1, 1]), atol=1e-7)


def test_shadow_of_a_ball_on_the_ground_is_a_disk():
    ball = solid(ELLIPSOID, (0, 2, 0), (0.5, 0.5, 0.5))
    x, z = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-2, 2, 41))
    points = np.stack([x.ravel(), 0 * x.ravel(), z.ravel()]).astype(np.float32)
    light, everywhere = np.array([0, 4, 0], np.float32), np.ones(x.size, bool)
    # Tangent from a light 2 m above the center: sin a = 0.5 / 2, disk radius = 4 tan a.
    radius = 4 * np.tan(np.arcsin(0.25))
    distance = np.hypot(x, z).ravel()
    clear = np.abs(distance - radius) > 1e-3
    shadow = in_shadow(ball, np.array([0]), points, light, everywhere)
    np.testing.assert_array_equal(shadow[clear], (distance < radius)[clear])
    assert not in_shadow(ball, np.array([0]), points, light, ~everywhere).any()
    above = points + np.array([[0], [3.5], [0]], np.float32)
    assert not in_shadow(ball, np.array([0]), above, light, everywhere).any()
