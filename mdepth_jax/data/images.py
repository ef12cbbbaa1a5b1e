"""Reading, writing and resizing of images and depth maps."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Shaped, UInt8
from PIL import Image, ImageOps

from mdepth_jax.errors import UserError

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    Image.DecompressionBombError,
)
_REPLACE = "replace the file or remove its entry"


def read_bytes(path: Path) -> bytes:
    """Reads a binary file.

    Raises:
        UserError: If the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; correct the path or remove the entry") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_REPLACE}") from None


def _open(encoded: bytes | Path, name: str) -> Image.Image:
    content = read_bytes(encoded) if isinstance(encoded, Path) else encoded
    if not content:
        raise UserError(f"{name}: the file is empty; {_REPLACE}")
    try:
        image = Image.open(io.BytesIO(content))
    except Image.UnidentifiedImageError:
        raise UserError(f"{name}: not an image; {_REPLACE}") from None
    except _DECODING_ERRORS as error:
        raise UserError(f"{name}: a damaged image ({error}); {_REPLACE}") from None
    _load(image, name)
    return image


def _load(image: Image.Image, name: str) -> None:
    try:
        image.load()
    except _DECODING_ERRORS as error:
        raise UserError(f"{name}: a damaged or truncated image ({error}); {_REPLACE}") from None


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise UserError(f"{name}: floating-point images have no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        codes = np.clip(np.asarray(image, np.float64), 0, 65535)
        image = Image.fromarray(np.round(codes / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def read_image(encoded: bytes | Path, name: str | None = None) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes an image as RGB, 0 to 255, upright.

    Gray, palette and CMYK become RGB, 16-bit gray is scaled to 8 bits, transparency is composited over white, the
    EXIF rotation is applied, and an animation is reduced to its first frame.

    Args:
        encoded: Encoded image, or the path of its file.
        name: Name of the image in error messages; the path by default.

    Raises:
        UserError: If the file is missing, empty, truncated or not an image.
    """
    name = name or str(encoded)
    return convert_to_rgb(_open(encoded, name), name)


def convert_to_rgb(image: Image.Image, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Converts a Pillow image to RGB, 0 to 255, upright, as `read_image` does.

    Args:
        image: Image of any mode but floating point.
        name: Name of the image in error messages.

    Raises:
        UserError: If the image is truncated, damaged or in floating point.
    """
    _load(image, name)
    return np.array(_to_rgb(ImageOps.exif_transpose(image), name))


def read_map(encoded: bytes | Path, name: str | None = None) -> Float32[np.ndarray, "height width"]:
    """Decodes the values of a gray image of 8 or 16 bits or in floating point, such as a depth map in millimeters.

    Args:
        encoded: Encoded map, or the path of its file.
        name: Name of the map in error messages; the path by default.

    Raises:
        UserError: If the file is missing, empty, truncated, not an image or not gray.
    """
    name = name or str(encoded)
    image = _open(encoded, name)
    if image.mode not in ("L", "F") and not image.mode.startswith("I"):
        raise UserError(f"{name}: a map must be a gray PNG of 8 or 16 bits, this one is {image.mode}; save it as such")
    return np.array(image, np.float32)


def encode(array: UInt8[np.ndarray, "height width 3"] | Shaped[np.ndarray, "height width"]) -> bytes:
    """Encodes an image or a map without loss: as PNG, or as TIFF if it is in floating point."""
    buffer = io.BytesIO()
    if array.dtype == np.float32:
        Image.fromarray(array).save(buffer, "tiff", compression="tiff_adobe_deflate")
    else:
        Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def resize_image(
    image: UInt8[np.ndarray, "old_height old_width 3"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Resizes an image, bilinear with half-pixel centers; anti-aliased when it shrinks."""
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_map(
    values: Float32[np.ndarray, "old_height old_width"], height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """Resizes a map like `resize_image`, over its known values; NaN if less than half of the weight is known."""

    def resize(plane: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))

    if not np.isnan(values).any():
        return resize(values)
    return _over_known(values, resize)


def warp_image(
    image: UInt8[np.ndarray, "old_height old_width 3"], matrix: Float64[np.ndarray, "2 3"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Resamples an image by an affine map: bilinear, anti-aliased when it shrinks, black outside.

    Args:
        image: RGB image, 0 to 255.
        matrix: Map from (x, y, 1) in the result, whose pixel i covers i to i + 1, to (x, y) in the image, from 0 to 1.
        height: Height of the result.
        width: Width of the result.
    """
    return np.array(_warp(Image.fromarray(image), matrix, height, width))


def warp_map(
    values: Float32[np.ndarray, "old_height old_width"], matrix: Float64[np.ndarray, "2 3"], height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """Resamples a map like `warp_image`, over its known values; NaN outside and if less than half is known."""
    return _over_known(values, lambda plane: np.array(_warp(Image.fromarray(plane), matrix, height, width)))


def _over_known(
    values: Float32[np.ndarray, "old_height old_width"], resample: Callable[[np.ndarray], np.ndarray]
) -> Float32[np.ndarray, "height width"]:
    unknown = np.isnan(values)
    weight = resample(np.float32(1) - unknown.astype(np.float32))
    total = resample(np.where(unknown, np.float32(0), values))
    return np.where(weight >= 0.5, total / np.maximum(weight, np.float32(0.5)), np.float32(np.nan))


def _warp(picture: Image.Image, matrix: Float64[np.ndarray, "2 3"], height: int, width: int) -> Image.Image:
    size = np.array(picture.size)
    pixels = matrix * size[:, np.newaxis]
    if not pixels[0, 1] and not pixels[1, 0]:
        start, stop = pixels[:, 2], pixels @ (width, height, 1)
        box = np.clip([start, stop], 0, size).ravel().tolist()
        return picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
    # Image.transform reads four neighbors; averaging first keeps it from skipping pixels.
    stride = np.hypot(pixels[:, 0], pixels[:, 1])
    small = np.ceil(size / np.maximum(stride, 1)).astype(int)
    shrunk = picture.resize(small.tolist(), Image.Resampling.BILINEAR)
    coefficients = (matrix * small[:, np.newaxis]).ravel().tolist()
    return shrunk.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
