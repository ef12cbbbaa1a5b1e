"""The protocol for networks of relative depth: a fit of scale and shift to each depth map, then errors of each image.

It is that of MiDaS, Marigold, Depth Anything and ZipDepth ("zero-shot" and "affine-invariant" evaluation), in NumPy and
double precision. The metrics are computed image by image and averaged over the images, where those of
`mdepth_jax.metrics.dense` are computed over all pixels together.

References:
    Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-shot Cross-dataset Transfer",
    TPAMI 2020 (MiDaS); Ke et al., "Repurposing Diffusion-Based Image Generators for Monocular Depth Estimation", CVPR
    2024 (Marigold), whose published evaluation code this one equals.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int

Map = Float[Array | np.ndarray, "batch height width 1"]
Mask = Bool[Array | np.ndarray, "batch height width 1"]
Aligned = Float64[np.ndarray, "batch height width 1"]

DEPTH_RANGE = 1e-3, 80.0
"""Range in meters that aligned depth is clipped to."""
SMALLEST_DISPARITY = 1e-3
"""Smallest disparity in 1/m that is inverted; smaller ones count as this one."""
_DELTA = 1.25
_PIXELS = (1, 2, 3)  # Axes of one image.


def align_affine(prediction: Map, target: Map, valid: Mask | None = None) -> Aligned:
    """Fits scale and shift of each prediction to its depth map by ordinary least squares.

        aligned = clip(s z + t, 0.001, 80),   s, t = argmin sum (s z + t - target)^2

    over the valid pixels of the image. The scale may be negative.

    Args:
        prediction: Relative depth, in any unit.
        target: True depth in meters.
        valid: Mask of the pixels that count; all if None. A pixel whose target is not positive and finite never
            counts.

    Returns:
        Depth in meters. A prediction that is constant over the valid pixels, or whose image has one of them, becomes
        their mean; an image without valid pixels is all 0.001.

    Example:
        >>> import numpy as np
        >>> from mdepth_jax.metrics import align_affine
        >>> prediction, target = (np.float32(depth).reshape(1, 1, 3, 1) for depth in ([0, 1, 2], [1, 3, 5]))
        >>> [round(float(meters), 3) for meters in align_affine(prediction, target).ravel()]
        [1.0, 3.0, 5.0]

    References:
        Ranftl et al. 2020, Ke et al. 2024, see the module.
    """
    prediction, target, valid = _as_arrays(prediction, target, valid)
    return np.clip(_fit(prediction, target, valid), *DEPTH_RANGE)


def align_disparity(prediction: Map, target: Map, valid: Mask | None = None) -> Aligned:
    """Fits scale and shift of each prediction to the disparity of its depth map, and inverts the result.

        aligned = clip(1 / max(s z + t, 0.001), 0.001, 80),   s, t = argmin sum (s z + t - 1 / target)^2

    over the valid pixels of the image. The scale may be negative, as it is for relative depth that is larger where
    farther.

    Args:
        prediction: Disparity, or relative depth whose distances are those of disparity, in any unit.
        target: True depth in meters.
        valid: Mask of the pixels that count; all if None. A pixel whose target is not positive and finite never
            counts.

    Returns:
        Depth in meters. A prediction that is constant over the valid pixels, or whose image has one of them, becomes
        the inverse of their mean disparity; an image without valid pixels is all 80.

    Example:
        >>> import numpy as np
        >>> from mdepth_jax.metrics import align_disparity
        >>> prediction, target = (np.float32(depth).reshape(1, 1, 3, 1) for depth in ([9, 5, 3], [1, 2, 4]))
        >>> [round(float(meters), 3) for meters in align_disparity(prediction, target).ravel()]
        [1.0, 2.0, 4.0]

    References:
        Ranftl et al. 2020, see the module.
    """
    prediction, target, valid = _as_arrays(prediction, target, valid)
    disparity = _fit(prediction, 1 / target, valid)
    return np.clip(1 / np.maximum(disparity, SMALLEST_DISPARITY), *DEPTH_RANGE)


class ImageErrors(NamedTuple):
    """Errors of depth maps, one entry for each image; 0 without a valid pixel.

    Attributes:
        pixels: Number of valid pixels.
        abs_rel: Mean of |prediction - target| / target.
        delta1: Share of the pixels whose prediction is within a factor of 1.25 of the target.
        delta2: Share of those within 1.25^2.
        delta3: Share of those within 1.25^3.
        rmse: Root mean squared error in the unit of depth.
    """

    pixels: Int[np.ndarray, " images"]
    abs_rel: Float[np.ndarray, " images"]
    delta1: Float[np.ndarray, " images"]
    delta2: Float[np.ndarray, " images"]
    delta3: Float[np.ndarray, " images"]
    rmse: Float[np.ndarray, " images"]

    @classmethod
    def concatenate(cls, parts: Iterable["ImageErrors"]) -> "ImageErrors":
        """Joins the entries of several batches."""
        return cls(*(np.concatenate(entries) for entries in zip(*parts, strict=True)))

    @property
    def scores(self) -> dict[str, float]:
        """Means over the images that have a valid pixel, by the names of the metrics; 0 if none has."""
        counted = self.pixels > 0
        names = self._fields[1:]
        return {name: float(getattr(self, name)[counted].sum() / max(counted.sum(), 1)) for name in names}


def image_errors(prediction: Map, target: Map, valid: Mask | None = None) -> ImageErrors:
    """Compares depth maps image by image.

    Args:
        prediction: Depth, larger = farther, in the unit of `target`; wrong for the deltas where it is not positive.
        target: True depth.
        valid: Mask of the pixels that count; all if None. A pixel whose target is not positive and finite never
            counts.

    Example:
        >>> import numpy as np
        >>> from mdepth_jax.metrics import image_errors
        >>> prediction, target = (np.float32(depth).reshape(1, 1, 2, 1) for depth in ([2.2, 3], [2, 2]))
        >>> {name: round(score, 3) for name, score in image_errors(prediction, target).scores.items()}
        {'abs_rel': 0.3, 'delta1': 0.5, 'delta2': 1.0, 'delta3': 1.0, 'rmse': 0.721}
    """
    prediction, target, valid = _as_arrays(prediction, target, valid)
    prediction = np.where(valid, prediction, 1)
    error = np.abs(prediction - target)
    delta1, delta2, delta3 = (
        _mean((prediction < factor * target) & (target < factor * prediction), valid)
        for factor in (_DELTA, _DELTA**2, _DELTA**3)
    )
    return ImageErrors(
        pixels=valid.sum(_PIXELS),
        abs_rel=_mean(error / target, valid),
        delta1=delta1,
        delta2=delta2,
        delta3=delta3,
        rmse=np.sqrt(_mean(np.square(error), valid)),
    )


def abs_rel(prediction: Map, target: Map, valid: Mask | None = None) -> float:
    """Computes the mean absolute relative error, (1 / n) sum |p - t| / t over n pixels, averaged over images.

    Args:
        prediction: Depth, larger = farther, in the unit of `target`, such as from `align_affine`.
        target: True depth; a pixel that is not positive and finite never counts.
        valid: Mask of the pixels that count; all if None.

    Returns:
        The error, without unit; 0 where there is no valid pixel.

    Example:
        >>> import numpy as np
        >>> from mdepth_jax.metrics import abs_rel
        >>> prediction, target = (np.float32(depth).reshape(1, 1, 2, 1) for depth in ([2.2, 3], [2, 2]))
        >>> print(f"{abs_rel(prediction, target):.2f}")
        0.30

    References:
        Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network", NIPS 2014.
    """
    return image_errors(prediction, target, valid).scores["abs_rel"]


def _as_arrays(prediction: Map, target: Map, valid: Mask | None) -> tuple[Aligned, Aligned, Bool[np.ndarray, "..."]]:
    """Converts to double precision on the host, with a target of 1 where it is not valid."""
    predicted, true = (np.asarray(array, np.float64) for array in (prediction, target))
    is_known = np.isfinite(true) & (true > 0)
    valid = is_known if valid is None else np.asarray(valid) & is_known
    return predicted, np.where(valid, true, 1), valid


def _fit(prediction: Aligned, target: Aligned, valid: Bool[np.ndarray, "..."]) -> Aligned:
    """Fits each prediction to its target; the closed form of the least-squares line, about the means."""
    values = np.where(valid, prediction, 0)
    mean_value, mean_target = (_mean(array, valid, keepdims=True) for array in (values, target))
    centered = np.where(valid, values - mean_value, 0)
    variance = _mean(np.square(centered), valid, keepdims=True)
    covariance = _mean(centered * (target - mean_target), valid, keepdims=True)
    least, greatest = (
        function(values, _PIXELS, where=valid, keepdims=True, initial=initial)
        for function, initial in ((np.min, np.inf), (np.max, -np.inf))
    )
    is_flat = (least >= greatest) | (variance == 0)
    scale = np.where(is_flat, 0, covariance / np.where(is_flat, 1, variance))
    return scale * np.where(is_flat, 0, prediction - mean_value) + mean_target


def _mean(values: Any, valid: Bool[np.ndarray, "..."], *, keepdims: bool = False) -> Any:
    """Computes the mean over the valid pixels of each image; 0 without one."""
    count = np.maximum(valid.sum(_PIXELS, keepdims=keepdims), 1)
    return np.sum(values, _PIXELS, where=valid, keepdims=keepdims, dtype=np.float64) / count
