import numpy as np
import pytest

from mdepth_jax.data.augment import draw_view, flip, jitter, middle_view, move_points
from mdepth_jax.data.images import resize_image, resize_map, warp_image, warp_map

SIZES = [((120, 160), (48, 64)), ((90, 161), (64, 32)), ((60, 40), (96, 100))]
VIEWS = [
    {"scale": 1.5, "rotation": 5.0, "crop": "center"},
    {"scale": 1.0, "rotation": 30.0, "crop": "random"},
    {"scale": 2.0, "rotation": 0.0, "crop": "random"},
    {"scale": 1.3, "rotation": 90.0, "crop": "none"},
    {"scale": 1.0, "rotation": 0.0, "crop": "center"},
]


def make_example():
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 255, (6, 9, 3), dtype=np.uint8),
        "points": rng.integers(0, 6, (5, 2, 2), dtype=np.int32),
        "relation": np.array([1, -1, 0, 1, 1], np.int32),
        "depth": rng.random((6, 9), dtype=np.float32),
        "teacher_depth": rng.random((6, 9), dtype=np.float32),
    }


def colors(example, key):
    return example[key][example["points"][..., 0], example["points"][..., 1]]


def test_a_point_follows_its_pixel():
    example = make_example()
    results = [flip(example, np.random.default_rng(seed)) for seed in range(16)]
    mirrored = [result for result in results if (result["image"] == example["image"][:, ::-1]).all()]
    same = [result for result in results if (result["image"] == example["image"]).all()]
    assert mirrored
    assert same
    assert len(mirrored) + len(same) == 16
    for result in results:
        for key in ("image", "depth", "teacher_depth"):
            np.testing.assert_array_equal(colors(result, key), colors(example, key))
        np.testing.assert_array_equal(result["relation"], example["relation"])


def test_flip_leaves_its_input_alone():
    """An example without maps, of which it returns no others, as one with them."""
    example, untouched = make_example(), make_example()
    for seed in range(4):
        flip(example, np.random.default_rng(seed))
        bare = {key: example[key] for key in ("image", "points")}
        assert flip(bare, np.random.default_rng(seed)).keys() == bare.keys()
    for key in untouched:
        np.testing.assert_array_equal(example[key], untouched[key])


def test_jitter_is_a_function_of_the_generator():
    image = make_example()["image"]
    once, again, other = (jitter(image, np.random.default_rng(seed), 0.4) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    np.testing.assert_array_equal(jitter(image, np.random.default_rng(1), 0.0), image)


def test_jitter_keeps_gray_gray():
    gray = np.full((4, 4, 3), 100, np.uint8)
    result = jitter(gray, np.random.default_rng(3), 0.5)
    assert (result == result[0, 0, 0]).all()
    factor = np.random.default_rng(3).uniform(0.5, 1.5, 3)[0]
    np.testing.assert_allclose(result[0, 0].astype(float), 100 * factor, atol=0.51)


def loop_jitter(image, brightness, contrast, saturation):
    """Pixel by pixel in double precision, without rounding."""

    def gray(pixel):
        return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]  # ITU-R BT.601

    bright = [[value * brightness for value in pixel] for pixel in image.reshape(-1, 3).tolist()]
    middle = sum(map(gray, bright)) / len(bright)
    result = []
    for pixel in bright:
        contrasted = [middle + contrast * (value - middle) for value in pixel]
        result.append([gray(contrasted) + saturation * (value - gray(contrasted)) for value in contrasted])
    return np.clip(result, 0, 255).reshape(image.shape)


@pytest.mark.parametrize("strength", [0.1, 0.4])
def test_jitter_matches_a_loop(strength):
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    for seed in range(8):
        factors = np.random.default_rng(seed).uniform(1 - strength, 1 + strength, 3)
        found = jitter(image, np.random.default_rng(seed), strength)
        np.testing.assert_allclose(found.astype(float), loop_jitter(image, *factors), rtol=0, atol=0.501)


def coordinates(height, width):
    """A map of rows and one of columns: a pixel shows the position from which it comes."""
    return np.indices((height, width)).astype(np.float32)


def every_pixel(height, width):
    """Pairs of each pixel of the image and the next one."""
    points = np.stack(np.indices((height, width)), axis=-1).reshape(-1, 2).astype(np.int32)
    return np.stack([points, np.roll(points, -1, axis=0)], axis=1)


@pytest.mark.parametrize("options", VIEWS)
@pytest.mark.parametrize(("image_size", "net_size"), SIZES)
def test_a_point_follows_its_pixel_through_every_view(image_size, net_size, options):
    for seed in range(4):
        view = draw_view(image_size, net_size, np.random.default_rng(seed), **options)
        again = draw_view(image_size, net_size, np.random.default_rng(seed), **options)
        np.testing.assert_array_equal(view.matrix, again.matrix)
        assert 1 <= view.zoom <= options["scale"]

        points = every_pixel(*image_size)
        moved, inside = move_points(points, view, image_size, net_size)
        rows, columns = (warp_map(plane, view.matrix, *net_size) for plane in coordinates(*image_size))
        a = moved[inside, 0]
        shown = np.stack([rows[tuple(a.T)], columns[tuple(a.T)]], axis=-1)
        known = np.isfinite(shown).all(-1)
        # Half a pixel of the network and what averaging moves at the edges of the image.
        pixel = np.abs(view.matrix[:, :2] * np.array(image_size[::-1])[:, None]).sum(1)[::-1]
        assert inside.mean() > 0.02
        assert known.mean() > 0.95
        assert (np.abs(shown - points[inside, 0])[known] <= pixel * 0.5 + np.maximum(pixel, 1)).all()
        away = np.abs(shown - points[inside, 0])[known]
        assert (away.mean(0) < 0.5 * pixel + 0.2).all()


def draw_views(count=64, image_size=(60, 90), net_size=(20, 20), **options):
    views = [draw_view(image_size, net_size, np.random.default_rng(seed), **options) for seed in range(count)]
    return np.stack([view.matrix for view in views]), np.array([view.zoom for view in views])


def test_drawn_angles_fill_their_range_about_the_middle():
    matrices, _ = draw_views(rotation=30.0, crop="center")
    turned = matrices[..., :2] * np.array([[90], [60]])
    angles = np.rad2deg(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    np.testing.assert_allclose(np.linalg.det(turned), (60 / 20) ** 2)
    assert -30 <= angles.min() < -25
    assert 25 < angles.max() <= 30
    np.testing.assert_allclose(matrices @ [10, 10, 1], 0.5)


def test_drawn_crops_are_the_largest_and_lie_anywhere():
    """Of an image that is wider than the network's input, the whole height is seen."""
    matrices, zooms = draw_views(crop="random")
    start, end = matrices @ [0, 0, 1], matrices @ [20, 20, 1]
    np.testing.assert_array_equal(zooms, 1)
    np.testing.assert_allclose([start[:, 1], end[:, 1]], [[0] * 64, [1] * 64], atol=1e-12)
    np.testing.assert_allclose((end - start)[:, 0], 60 / 90)
    assert 0 <= start[:, 0].min() < 0.02
    assert 0.98 < end[:, 0].max() <= 1


def test_drawn_zooms_fill_their_range():
    matrices, zooms = draw_views(scale=1.5, crop="random")
    assert 1 <= zooms.min() < 1.05
    assert 1.45 < zooms.max() <= 1.5
    np.testing.assert_allclose(matrices[:, 1, 1] * 20, 1 / zooms)
    corners = np.stack([matrices @ [0, 0, 1], matrices @ [20, 20, 1]])
    assert (corners >= 0).all()
    assert (corners <= 1).all()


@pytest.mark.parametrize("options", VIEWS)
def test_points_outside_of_the_view_are_invalid(options):
    image_size, net_size = (90, 161), (64, 32)
    view = draw_view(image_size, net_size, np.random.default_rng(5), **options)
    points = every_pixel(*image_size)
    moved, inside = move_points(points, view, image_size, net_size)
    for pair, moved_pair, seen in list(zip(points, moved, inside, strict=True))[::37]:
        both = True
        for point, moved_point in zip(pair, moved_pair, strict=True):
            x, y = np.linalg.solve(view.matrix[:, :2], (point[::-1] + 0.5) / (161, 90) - view.matrix[:, 2])
            assert (int(np.floor(y)), int(np.floor(x))) == tuple(moved_point)
            both &= 0 <= x < 32 and 0 <= y < 64
        assert seen == both
    assert 0 < inside.sum() < len(inside)


def test_image_and_maps_of_any_size_move_together():
    rng = np.random.default_rng(3)
    image_size, net_size = (80, 120), (40, 50)
    smooth = resize_image(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), *image_size)
    red = smooth[..., 0].astype(np.float32)
    half = resize_map(red, 40, 60)
    for options in VIEWS:
        view = draw_view(image_size, net_size, rng, **options)
        image = warp_image(smooth, view.matrix, *net_size)[..., 0].astype(np.float32)
        for values, tolerance in ((red, 2.0), (half, 10.0)):
            warped = warp_map(values, view.matrix, *net_size)
            known = np.isfinite(warped)
            assert known.mean() > 0.5
            # At the rim of what is known the map is an average of known values, the image one with black.
            inner = known & np.roll(known, 2, 0) & np.roll(known, -2, 0) & np.roll(known, 2, 1) & np.roll(known, -2, 1)
            assert np.abs(warped - image)[inner].max() <= tolerance
            assert np.abs(warped - image)[inner].mean() <= 1
            assert (image[~known] < 200).all()


def test_unknown_values_stay_unknown():
    depth = np.ones((40, 60), np.float32)
    depth[:, :30] = np.nan
    for options in VIEWS:
        view = draw_view((40, 60), (20, 30), np.random.default_rng(0), **options)
        warped = warp_map(depth, view.matrix, 20, 30)
        assert set(np.round(warped[np.isfinite(warped)], 5).tolist()) == {1.0}
        assert np.isnan(warped).mean() > 0.3
        assert np.isnan(warp_map(np.full((1, 1), np.nan, np.float32), view.matrix, 20, 30)).all()


def test_the_middle_is_the_largest_part_of_the_aspect_in_full_pixels():
    view, start, size = middle_view((480, 640), (224, 224))
    np.testing.assert_array_equal(start, [0, 80])
    np.testing.assert_array_equal(size, [480, 480])
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    warped, cut = warp_image(image, view.matrix, 224, 224), resize_image(image[:, 80:560], 224, 224)
    np.testing.assert_array_equal(warped[:, 2:-2], cut[:, 2:-2])  # the rest averages over the edge of the crop
    same = draw_view((480, 640), (224, 224), np.random.default_rng(0), crop="center")
    np.testing.assert_allclose(view.matrix, same.matrix)
    assert (middle_view((10, 1000), (448, 4))[2] >= 1).all()


@pytest.mark.parametrize(
    ("image_size", "net_size", "start", "size"),
    [((9, 20), (4, 4), (0, 5), (9, 9)), ((21, 8), (10, 20), (8, 0), (4, 8)), ((5, 9), (448, 4), (0, 4), (5, 1))],
)
def test_the_middle_view_shows_the_pixels_that_it_names(image_size, net_size, start, size):
    view, *found = middle_view(image_size, net_size)
    np.testing.assert_array_equal(found, [start, size])
    assert view.zoom == 1
    height, width = net_size
    corners = view.matrix @ np.array([[0, width], [0, height], [1, 1]])
    expected = np.stack([start, np.add(start, size)], axis=-1)[::-1] / np.array(image_size[::-1])[:, None]
    np.testing.assert_allclose(corners, expected)


def test_zoom_enlarges_about_the_middle():
    view = draw_view((40, 60), (40, 60), np.random.default_rng(0), scale=3.0)
    corners = view.matrix @ np.array([[0, 60], [0, 40], [1, 1]])
    np.testing.assert_allclose(corners.sum(1), [1, 1])
    np.testing.assert_allclose(corners[:, 1] - corners[:, 0], 1 / view.zoom)
