import pathlib

import h5py
import numpy as np
import pytest
import tensorflow_datasets as tfds

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.sources.maps import NO_MAPS, Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.tfds_nyuv2 import TfdsNyuv2
from mdepth_jax.errors import UserError


def frame(number):
    """An image of one color, and depth in meters that grows to the right and is unknown at the top."""
    image = np.full((480, 640, 3), 20 * number, np.uint8)
    depth = np.linspace(0.5, 5 + number, 640, dtype=np.float32)[np.newaxis].repeat(480, axis=0)
    depth[:40] = 0
    return image, depth


def write_records(tmp_path, file_format):
    """Runs TFDS's own builder on the files of its archive; only the download is left out."""
    for split, count in (("train", 2), ("val", 1)):
        folder = tmp_path / "archive/nyudepthv2" / split / "room"
        folder.mkdir(parents=True)
        for number in range(count):
            image, depth = frame(number)
            with h5py.File(folder / f"{number:05d}.h5", "w") as file:
                file["rgb"], file["depth"] = np.moveaxis(image, -1, 0), depth
    tfds.disable_progress_bar()
    builder = tfds.builder("nyu_depth_v2", data_dir=tmp_path / "tfds", file_format=file_format)
    with pytest.MonkeyPatch.context() as patch:
        archive = str(tmp_path / "archive")
        patch.setattr(tfds.download.DownloadManager, "download_and_extract", lambda *_: archive)
        builder.download_and_prepare()
    return pathlib.Path(builder.data_dir)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("nyu"), "array_record")


def test_depth_is_in_meters(directory):
    source = TfdsNyuv2(directory, "train", maps=Maps(depth=0.001))
    assert (len(source), source.max_pairs, source.info, source.split) == (2, 0, KNOWN_SETS["nyuv2"], "train")
    by_color = {int(source[index]["image"][0, 0, 2]) // 20: source[index] for index in range(2)}
    for number in range(2):
        image, depth = frame(number)
        np.testing.assert_array_equal(by_color[number]["image"], image)
        assert np.isnan(by_color[number]["depth"][:40]).all()
        np.testing.assert_allclose(by_color[number]["depth"][40:], depth[40:], rtol=1e-3)


def test_maps_that_are_not_selected_or_missing(directory):
    assert TfdsNyuv2(directory, "validation", maps=NO_MAPS).split == "test"  # the official one
    assert set(TfdsNyuv2(directory, "validation", maps=NO_MAPS)[0]) == {"image", "points", "relation"}
    with pytest.raises(UserError, match="holds no teacher's maps"):
        TfdsNyuv2(directory, "train", maps=Maps(teacher_depth=0.001))
    with pytest.raises(UserError, match="no split 'test'; choose one of train, validation"):
        TfdsNyuv2(directory, "test", maps=NO_MAPS)


def test_it_is_opened_by_its_name(directory):
    assert isinstance(open_source(directory, "train"), TfdsNyuv2)


def test_records_without_random_access(tmp_path):
    directory = write_records(tmp_path, "tfrecord")
    with pytest.raises(UserError, match="no random access; write it again by: tfds build nyu_depth_v2"):
        TfdsNyuv2(directory, "train", maps=NO_MAPS)
