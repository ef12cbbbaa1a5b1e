import io

import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.images import read_image, read_map, resize_image, resize_map
from mdepth_jax.errors import UserError

RED_GREEN = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8).repeat(4, axis=0)


def encode(image: Image.Image, kind: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_read_rgb():
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(RED_GREEN))), RED_GREEN)


def test_read_gray():
    image = read_image(encode(Image.fromarray(np.array([[0, 77, 255]], np.uint8))))
    np.testing.assert_array_equal(image, np.array([[[0] * 3, [77] * 3, [255] * 3]]))


def test_read_16_bit_gray_scales_to_8_bits():
    image = read_image(encode(Image.fromarray(np.array([[0, 257 * 77, 65535]], np.uint16))))
    np.testing.assert_array_equal(image[..., 0], [[0, 77, 255]])


def test_read_alpha_composites_over_white():
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(rgba))), [[[255, 0, 0], [255, 255, 255]]])


def test_read_palette():
    image = Image.fromarray(RED_GREEN).quantize(4)
    np.testing.assert_array_equal(read_image(encode(image)), RED_GREEN)


def test_read_cmyk():
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    image = read_image(encode(cmyk, "jpeg", quality=95))
    np.testing.assert_allclose(image[4, 4].astype(int), [255, 0, 0], atol=3)


def test_read_applies_exif_rotation():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise by 90 degrees
    encoded = encode(Image.fromarray(RED_GREEN), exif=exif)
    np.testing.assert_array_equal(read_image(encoded), np.rot90(RED_GREEN, -1))


def damaged_files():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return {
        "empty": (b"", "empty"),
        "text": (b"no image at all", "not an image"),
        "truncated.png": (encode(Image.fromarray(noise))[:5000], "damaged"),
        "truncated.jpg": (encode(Image.fromarray(noise), "jpeg")[:1500], "damaged"),
        "header.jpg": (encode(Image.fromarray(noise), "jpeg")[:30], "not an image|damaged"),
    }


@pytest.mark.parametrize("name", damaged_files())
def test_damaged_file_is_named(tmp_path, name):
    content, reason = damaged_files()[name]
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_image, read_map):
        with pytest.raises(UserError, match=reason) as error:
            read(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_read_map_returns_codes(dtype):
    codes = np.array([[0, 1, np.iinfo(dtype).max]], dtype)
    np.testing.assert_array_equal(read_map(encode(Image.fromarray(codes))), codes.astype(np.float32))


def test_read_map_refuses_color():
    with pytest.raises(UserError, match=r"m\.png: a map must be a gray PNG"):
        read_map(encode(Image.fromarray(RED_GREEN)), "m.png")


def test_resize_averages_when_it_shrinks():
    checkers = np.indices((32, 32)).sum(0) % 2
    image = np.repeat(checkers[..., None] * np.uint8(200), 3, axis=-1).astype(np.uint8)
    np.testing.assert_allclose(resize_image(image, 8, 8)[1:-1, 1:-1], 100, atol=1)


def test_resize_map_is_bilinear_with_half_pixel_centers():
    ramp = np.arange(4, dtype=np.float32)[np.newaxis].repeat(4, axis=0)
    resized = resize_map(ramp, 4, 8)
    np.testing.assert_allclose(resized[0], np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3), atol=1e-6)


def test_resize_map_ignores_unknown_values():
    values = np.full((8, 8), 5, np.float32)
    values[:, :4] = np.nan
    resized = resize_map(values, 16, 16)
    assert np.isnan(resized[:, :8]).all()
    np.testing.assert_allclose(resized[:, 8:], 5, rtol=1e-6)
    assert np.isnan(resize_map(np.full((1, 1), np.nan, np.float32), 3, 4)).all()
