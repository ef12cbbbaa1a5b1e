import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mdepth_jax.data.pairs import ImagePairs, write_pairs


@pytest.fixture
def prepare(tmp_path):
    """Writes the records of a folder: `prepare(Builder, folder)` returns the builder and the folder of the records."""
    tfds.disable_progress_bar()

    def run(builder_class, folder, **options):
        output = tmp_path / "records"
        builder = builder_class(data_dir=output, file_format="array_record", **options)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder))
        return builder, output

    return run


@pytest.fixture
def ramp():
    """Images and depth codes of a size: `ramp(height, width, number)`; depth grows from left to right."""

    def make(height, width, number=0):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        depth = np.linspace(1, 200, width).round()[np.newaxis].repeat(height, axis=0)
        return image, depth.astype(np.uint8)

    return make


@pytest.fixture
def pairs_folder(tmp_path):
    """Six images with one to six pairs and a depth map each, except for the last, which is for the test."""
    folder = tmp_path / "raw"
    rng = np.random.default_rng(0)
    for kind in ("images", "depth"):
        (folder / kind).mkdir(parents=True)
    entries = []
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(folder / f"images/{number}.jpg")
        points = rng.integers(0, 20, (number + 1, 2, 2), dtype=np.int32)
        relation = rng.integers(-1, 2, number + 1, dtype=np.int32)
        entries.append(ImagePairs(f"images/{number}.jpg", points, relation, (20, 30), 0))
        if number < 5:
            Image.fromarray(rng.integers(0, 9999, (20, 30), dtype=np.uint16)).save(folder / f"depth/{number}.png")
    write_pairs(folder / "pairs_train.csv", entries[:5])
    write_pairs(folder / "test.csv", entries[5:])
    return folder
