"""Mean of several predictions of one image, and its codes in a PNG file of 16 bits."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt16

from mdepth_jax.data.map_info import Meaning
from mdepth_jax.errors import UserError

Space = Literal["meters", "depth", "log", "inverse"]
"""Quantity that predictions are compared and averaged in; all but meters are normalized per image."""
Map = Float32[np.ndarray, "height width"]

MEANING_OF_SPACE: dict[Space, Meaning] = {
    "meters": "depth in meters",
    "depth": "relative depth",
    "log": "relative depth",
    "inverse": "inverse relative depth",
}
MAX_CODE = 65535
MAX_RATIO = 100.0
"""Largest ratio of two depths of an image, where a quantity is inverted: the sky is not infinitely far."""


def convert(values: Map, meaning: Meaning, space: Space) -> Map:
    """Converts a prediction to the quantity that is averaged.

    Args:
        values: Prediction.
        meaning: Its meaning.
        space: The quantity: "log" is the logarithm of depth, "inverse" inverse depth; "meters" and "depth" leave the
            prediction as it is.

    Returns:
        The quantity; NaN where depth is not positive. Depth beyond `MAX_RATIO` times the nearest is set to that where
        the prediction or the quantity, but not both, is inverse depth.

    Raises:
        UserError: If no value is positive where that is needed.
    """
    is_inverse = meaning == "inverse relative depth"
    if space == "depth" or (space == "inverse" and is_inverse):
        return values
    largest = values.max()
    if not largest > 0:
        raise UserError("no predicted value is positive; check the preset and the scaling of the input")
    if is_inverse:
        return -np.log(np.maximum(values, largest / np.float32(MAX_RATIO)))
    known = np.where(values > 0, values, np.float32(np.nan))
    match space:
        case "log":
            return np.log(known)
        case "inverse":
            return 1 / np.maximum(known, largest / np.float32(MAX_RATIO))
    return known


def normalize(values: Map) -> Map:
    """Subtracts the median and divides by the mean absolute deviation from it, over the known pixels.

    Reference: Ranftl et al., "Towards Robust Monocular Depth Estimation" (MiDaS), 2020, Eq. 5.

    Raises:
        UserError: If all known values are equal, or none is known.
    """
    known = values[np.isfinite(values)]
    median = np.median(known) if known.size else np.float32(0)
    deviation = np.mean(np.abs(known - median)) if known.size else np.float32(0)
    if not deviation > 0:
        raise UserError("the prediction is the same everywhere; check the preset and the scaling of the input")
    return (values - median) / deviation


def fuse(maps: Sequence[Map], weights: Sequence[float], disagreement: float | None) -> Map:
    """Averages normalized maps.

    Args:
        maps: Maps of one image by several networks, see `normalize`.
        weights: Weight of each.
        disagreement: Largest difference between any two of them, in mean absolute deviations, of a pixel that stays
            known; None for any.

    Returns:
        The weighted mean; NaN where any map is unknown.
    """
    stacked = np.stack(maps)
    mean = np.average(stacked, axis=0, weights=np.asarray(weights, np.float32))
    if disagreement is not None:
        mean = np.where(np.ptp(stacked, axis=0) > disagreement, np.nan, mean)
    return mean.astype(np.float32)


def encode_relative(values: Map) -> UInt16[np.ndarray, "height width"]:
    """Encodes a map of no unit: its range becomes the codes 1 to 65535, so that nothing is clipped; 0 = unknown.

    Raises:
        UserError: If fewer than two values are known.
    """
    known = np.isfinite(values)
    if not known.any() or not (span := np.ptp(values[known])) > 0:
        raise UserError("no pixel is known, or all are the same")
    shares = (values - values[known].min()) / span
    return np.where(known, 1 + np.round(shares * (MAX_CODE - 1)), 0).astype(np.uint16)


def encode_meters(values: Map, scale: float) -> UInt16[np.ndarray, "height width"]:
    """Encodes a map in meters; 0 where depth is unknown or beyond the codes.

    Args:
        values: Depth in meters, NaN where unknown.
        scale: Meters of one step of a code.
    """
    codes = np.round(values / np.float32(scale))
    return np.where((codes >= 1) & (codes <= MAX_CODE), codes, 0).astype(np.uint16)
