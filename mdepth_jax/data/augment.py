"""Augmentation of training examples: pure functions of the example and a random generator.

Off by default: the DIW networks are trained on images that are only resized.
"""

import numpy as np
from jaxtyping import UInt8

from mdepth_jax.data.types import Example

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def flip(example: Example, rng: np.random.Generator) -> Example:
    """Mirrors an example left to right, every second time: a point follows its pixel."""
    if rng.random() < 0.5:
        return example
    mirrored = example.copy()
    for key in ("image", "depth", "teacher_depth"):
        if key in example:
            mirrored[key] = np.ascontiguousarray(example[key][:, ::-1])
    y, x = np.moveaxis(example["points"], -1, 0)
    mirrored["points"] = np.stack([y, np.int32(example["image"].shape[1] - 1) - x], axis=-1)
    return mirrored


def jitter(
    image: UInt8[np.ndarray, "height width 3"], rng: np.random.Generator, strength: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Changes brightness, contrast and saturation, in this order.

    Args:
        image: RGB, 0 to 255.
        rng: Draws the three factors.
        strength: Each factor is uniform in [1 - strength, 1 + strength].
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3).astype(np.float32)
    colour = image.astype(np.float32) * brightness
    colour = np.mean(colour @ _LUMA) * (1 - contrast) + colour * contrast
    colour = (colour @ _LUMA)[..., np.newaxis] * (1 - saturation) + colour * saturation
    return np.clip(np.round(colour), 0, 255).astype(np.uint8)
