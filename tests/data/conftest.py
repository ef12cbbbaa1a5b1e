import numpy as np
import pytest
import tensorflow_datasets as tfds


@pytest.fixture
def prepare(tmp_path):
    """Writes the records of a folder: `prepare(Builder, source)` gives the builder and the folder of the records."""
    tfds.disable_progress_bar()

    def run(builder_class, source, **options):
        output = tmp_path / "records"
        builder = builder_class(data_dir=output, file_format="array_record", **options)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=source))
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
