"""Reading and resizing of images and maps: the one place where files become pixels."""

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
    """The content of a file.

    Raises:
        UserError: The file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; correct the path or remove the entry") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_REPLACE}") from None


def _open(source: bytes | Path, name: str) -> Image.Image:
    encoded = read_bytes(source) if isinstance(source, Path) else source
    if not encoded:
        raise UserError(f"{name}: the file is empty; {_REPLACE}")
    try:
        image = Image.open(io.BytesIO(encoded))
    except Image.UnidentifiedImageError:
        raise UserError(f"{name}: not an image; {_REPLACE}") from None
    except _DECODING_ERRORS as error:
        raise UserError(f"{name}: a damaged image ({error}); {_REPLACE}") from None
    try:
        image.load()
    except _DECODING_ERRORS as error:
        raise UserError(f"{name}: a damaged or truncated image ({error}); {_REPLACE}") from None
    return image


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


def read_image(source: bytes | Path, name: str | None = None) -> UInt8[np.ndarray, "height width 3"]:
    """An image as RGB, 0 to 255, upright.

    Grey, palette and CMYK become RGB, 16-bit grey is scaled to 8 bits, transparency is laid over white, the
    EXIF rotation is applied, and of an animation the first frame is taken.

    Args:
        source: The encoded image, or the path of its file.
        name: What an error calls the image; the path by default.

    Raises:
        UserError: A missing, empty, truncated or non-image file.
    """
    name = name or str(source)
    image = _open(source, name)
    return np.array(_to_rgb(ImageOps.exif_transpose(image), name))


def read_map(source: bytes | Path, name: str | None = None) -> Float32[np.ndarray, "height width"]:
    """The code values of a grey map of 8 or 16 bits or in floating point, such as a depth map in millimetres.

    Raises:
        UserError: A missing, empty, truncated or non-image file, or one that is not grey.
    """
    name = name or str(source)
    image = _open(source, name)
    if image.mode not in ("L", "F") and not image.mode.startswith("I"):
        raise UserError(f"{name}: a map must be a grey PNG of 8 or 16 bits, this one is {image.mode}; save it as such")
    return np.array(image, np.float32)


def encode(array: UInt8[np.ndarray, "height width 3"] | Shaped[np.ndarray, "height width"]) -> bytes:
    """Writes an image or a map without loss: as PNG, or in floating point as TIFF."""
    buffer = io.BytesIO()
    if array.dtype == np.float32:
        Image.fromarray(array).save(buffer, "tiff", compression="tiff_adobe_deflate")
    else:
        Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def resize_image(
    image: UInt8[np.ndarray, "old_height old_width 3"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Bilinear with half-pixel centres; anti-aliased where it shrinks."""
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_map(
    values: Float32[np.ndarray, "old_height old_width"], height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """As `resize_image`, over the known values; NaN where less than half of the weight is known."""

    def resize(plane: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))

    if not np.isnan(values).any():
        return resize(values)
    return _over_known(values, resize)


def warp_image(
    image: UInt8[np.ndarray, "old_height old_width 3"], matrix: Float64[np.ndarray, "2 3"], height: int, width: int
) -> UInt8[np.ndarray, "height width 3"]:
    """What an affine map sees of an image: bilinear, anti-aliased where it shrinks, black outside.

    Args:
        image: RGB, 0 to 255.
        matrix: From (x, y, 1) in the result, whose pixel i covers i to i + 1, to (x, y) in the image, from 0 to 1.
        height: Of the result.
        width: Of the result.
    """
    return np.array(_warp(Image.fromarray(image), matrix, height, width))


def warp_map(
    values: Float32[np.ndarray, "old_height old_width"], matrix: Float64[np.ndarray, "2 3"], height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """As `warp_image`, over the known values; NaN outside and where less than half of the weight is known."""
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
    # Image.transform reads four neighbours: what it would skip over is averaged before.
    stride = np.hypot(pixels[:, 0], pixels[:, 1])
    small = np.ceil(size / np.maximum(stride, 1)).astype(int)
    shrunk = picture.resize(small.tolist(), Image.Resampling.BILINEAR)
    coefficients = (matrix * small[:, np.newaxis]).ravel().tolist()
    return shrunk.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
