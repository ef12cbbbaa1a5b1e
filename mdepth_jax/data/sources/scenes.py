"""Embedded data set: procedurally rendered scenes with exact depth, and pairs drawn as in Depth in the Wild."""

import numpy as np
from jaxtyping import Float32, Int16

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.pairs import draw_pairs
from mdepth_jax.data.scenery.layouts import make_scene
from mdepth_jax.data.scenery.raycast import trace
from mdepth_jax.data.scenery.shading import shade
from mdepth_jax.data.types import Example
from mdepth_jax.errors import UserError

_SPLITS = ("train", "validation", "test")


class Scenes:
    """Rendered scenes; a `Source` whose examples are a pure function of (seed, split, index).

    Depth is exact, along the optical axis, in meters; the sky has the depth `raycast.FAR`.

    Args:
        count: Number of scenes.
        height: Image height in pixels.
        width: Image width in pixels.
        split: "train", "validation" or "test"; their scenes differ.
        seed: Seed of the data set.
        pairs_per_image: Number of labeled pairs of each scene.

    Raises:
        UserError: If there is no such split.
    """

    info = KNOWN_SETS["scenes"]
    teacher_meaning = ""

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
            raise UserError(f"`split` {split!r}: the scenes have no such split; choose one of {', '.join(_SPLITS)}")
        self._count, self._height, self._width = count, height, width
        self.split = split
        self._entropy = (seed, _SPLITS.index(split))
        self._pairs_per_image = pairs_per_image

    @property
    def max_pairs(self) -> int:
        """Returns the number of pairs of every example."""
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
    """Returns whether a picture shows enough: not all close up, and not filled by one wall, one thing or the sky."""
    near, far = np.percentile(depth[::2, ::2], (5, 95))
    largest = np.bincount(solid.ravel() + 1).max() / solid.size
    return bool(near > 0.3 and far > 1.6 * near and largest < 0.7)
