"""The embedded data set: procedurally rendered scenes with exact depth, and pairs drawn as in DIW."""

import numpy as np
from jaxtyping import Float32, Int16, Int32

from mdepth_jax.data.scenery.layouts import make_scene
from mdepth_jax.data.scenery.raycast import trace
from mdepth_jax.data.scenery.shading import shade
from mdepth_jax.data.types import Example
from mdepth_jax.errors import UserError

_SPLITS = ("train", "validation", "test")
_CANDIDATES = 64


class Scenes:
    """Rendered scenes: a `Source` whose examples are a pure function of (seed, split, index).

    Depth is exact, along the optical axis, in metres; the sky has `raycast.FAR`.

    Args:
        count: Number of scenes.
        height: Image height in pixels.
        width: Image width in pixels.
        split: "train", "validation" or "test"; their scenes differ.
        seed: Another seed is another data set.
        pairs_per_image: Labelled pairs per scene.
    """

    def __init__(
        self,
        count: int,
        height: int,
        width: int,
        *,
        split: str = "train",
        seed: int = 0,
        pairs_per_image: int = 1,
    ):
        if split not in _SPLITS:
            raise UserError(f"split {split!r} of the scenes does not exist: take one of {', '.join(_SPLITS)}")
        self._count, self._height, self._width = count, height, width
        self._entropy = (seed, _SPLITS.index(split))
        self._pairs_per_image = pairs_per_image

    @property
    def max_pairs(self) -> int:
        """The number of pairs of every example."""
        return self._pairs_per_image

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < self._count:
            raise IndexError(f"scene {index} of {self._count}")
        rng = np.random.default_rng(np.random.SeedSequence((*self._entropy, index)))
        while True:
            scene = make_scene(rng, self._height, self._width)
            depth, solid = trace(scene.solids, scene.camera)
            points, relation = draw_pairs(depth, rng, self._pairs_per_image)
            if len(relation) == self._pairs_per_image and _is_varied(depth, solid):
                image = shade(scene, depth, solid, rng)
                return Example(image=image, points=points, relation=relation, depth=depth)


def _is_varied(depth: Float32[np.ndarray, "height width"], solid: Int16[np.ndarray, "height width"]) -> bool:
    """Tells whether a picture shows enough: neither all close up, nor one wall, one thing or sky all over."""
    near, far = np.percentile(depth[::2, ::2], (5, 95))
    largest = np.bincount(solid.ravel() + 1).max() / solid.size
    return bool(near > 0.3 and far > 1.6 * near and largest < 0.7)


def draw_pairs(
    depth: Float32[np.ndarray, "height width"], rng: np.random.Generator, count: int, min_ratio: float = 1.1
) -> tuple[Int32[np.ndarray, "pairs 2 2"], Int32[np.ndarray, "pairs"]]:
    """Draws pairs of points as DIW does: half symmetric about the vertical centre line, half free.

    Source: Chen et al. 2016, "Single-Image Depth Perception in the Wild", section 3.

    Args:
        depth: Positive depth.
        rng: Source of all randomness.
        count: Number of pairs; of an odd number, a coin decides the half of the last one.
        min_ratio: The depths of a pair differ by more than this ratio.

    Returns:
        points (A or B, y or x) and relation, +1 where A is farther, -1 where B is. Where no candidate of a
        pair qualifies, as in a flat image, the pair is missing.
    """
    height, width = depth.shape
    points = rng.integers((height, width), size=(_CANDIDATES, count, 2, 2), dtype=np.int32)
    symmetric = (np.arange(count) + rng.integers(2)) % 2 == 0
    points[:, symmetric, 1, 0] = points[:, symmetric, 0, 0]
    points[:, symmetric, 1, 1] = width - 1 - points[:, symmetric, 0, 1]
    values = depth[points[..., 0], points[..., 1]]
    valid = values.max(-1) > min_ratio * values.min(-1)
    chosen = valid.argmax(0), np.arange(count)
    found = valid[chosen]
    points, values = points[chosen][found], values[chosen][found]
    return points, np.where(values[:, 0] > values[:, 1], 1, -1).astype(np.int32)
