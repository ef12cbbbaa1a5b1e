"""Finds the pairs of points that a network orders most wrongly."""

import heapq
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Int32

from mdepth_jax.data.images import resize_map
from mdepth_jax.data.threads import map_in_threads
from mdepth_jax.data.types import Source
from mdepth_jax.inference.predictor import Picture, Predictor, predict_pictures, prepare_picture
from mdepth_jax.plots import Failure, depth_limits


def find_failures(predictor: Predictor, source: Source, count: int) -> list[Failure]:
    """Finds the images whose worst pair is ordered most wrongly, relative to the range of their prediction.

    Args:
        predictor: Program of the network.
        source: Images with pairs.
        count: Number of images at most.

    Returns:
        The worst pair of each image, the worst of all first.
    """
    return heapq.nlargest(count, _find_worst_pairs(predictor, source), key=lambda failure: failure.error)


def _find_worst_pairs(predictor: Predictor, source: Source) -> Iterator[Failure]:
    """Yields the worst pair of every image that has a wrong one."""
    pairs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def read(index: int) -> Picture:
        example = source[index]
        pairs[index] = example["points"], example["relation"]
        return prepare_picture(str(index), example["image"], predictor)

    pictures = map_in_threads(read, range(len(source)))
    for index, prediction in enumerate(predict_pictures(predictor, pictures)):
        points, relation = pairs.pop(index)
        depth = resize_map(prediction.values, *prediction.picture.size)
        if failure := find_worst_pair(depth, points, relation, image=index):
            yield failure


def find_worst_pair(
    depth: Float32[np.ndarray, "height width"],
    points: Int32[np.ndarray, "pairs 2 2"],
    relation: Int32[np.ndarray, "pairs"],
    *,
    image: int = 0,
) -> Failure | None:
    """Finds the pair whose depths differ most in the wrong direction.

    Args:
        depth: Prediction at the size of the image; larger = farther.
        points: 0-based pixels as (A or B, y or x).
        relation: +1 where A is farther, -1 where A is nearer, 0 where both are equal.
        image: Number of the image.

    Returns:
        The pair; None if all are right. As in WHDR, a tie is wrong.
    """
    low, high = depth_limits(depth)
    at_points = depth[points[..., 0], points[..., 1]]
    difference = (at_points[:, 0] - at_points[:, 1]) / max(high - low, 1e-6)
    errors = np.where(relation == 0, np.abs(difference), -relation * difference)
    wrong = np.where(relation == 0, errors > 0, errors >= 0)
    if not wrong.any():
        return None
    worst = int(np.argmax(np.where(wrong, errors, -1)))
    return Failure(image, float(errors[worst]), points[worst], int(relation[worst]), depth)
