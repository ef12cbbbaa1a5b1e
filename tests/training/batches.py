"""Random batches of 64x64 images."""

import numpy as np

SIZE = 64


def random_batch(seed, batch=4, pairs=3):
    rng = np.random.default_rng(seed)
    depth = rng.normal(size=(batch, SIZE, SIZE, 1)).astype(np.float32)
    depth[0, :2] = np.nan
    return {
        "image": rng.integers(0, 256, (batch, SIZE, SIZE, 3), dtype=np.uint8),
        "points": rng.integers(0, SIZE, (batch, pairs, 2, 2), dtype=np.int32),
        "relation": rng.choice(np.array([-1, 1], np.int32), (batch, pairs)),
        "valid": rng.random((batch, pairs)) < 0.8,
        "image_size": np.full((batch, 2), SIZE, np.int32),
        "depth": depth,
    }
