"""Throughput of the data pipeline."""

import timeit
from typing import Any

from mdepth_jax.data import pipeline
from mdepth_jax.data.sources.scenes import Scenes


def benchmark_pipeline(batch_size: int, height: int, width: int, rounds: int) -> list[dict[str, Any]]:
    """Times the rendered scenes through the pipeline, against reading them one by one.

    Args:
        batch_size: Number of images in a batch.
        height: Height of an image.
        width: Width of an image.
        rounds: Number of times that about 32 images are read each way.

    Returns:
        A row for each way: `source`, `images_per_second`, and `times_faster` than one by one.
    """
    count = -(-rounds * 32 // batch_size)
    source = Scenes(2 * count * batch_size, height, width)
    spec = pipeline.BatchSpec(height=height, width=width, batch_size=batch_size, depth=True)
    batches = pipeline.train_batches(source, spec, seed=0)
    next(batches)
    one_by_one = timeit.timeit(lambda: [source[index] for index in range(count * batch_size)], number=1)
    piped = timeit.timeit(lambda: [next(batches) for _ in range(count)], number=1)
    seconds = {"scenes, one by one": one_by_one, "scenes, pipeline": piped}
    return [
        {"source": name, "images_per_second": count * batch_size / value, "times_faster": one_by_one / value}
        for name, value in seconds.items()
    ]
