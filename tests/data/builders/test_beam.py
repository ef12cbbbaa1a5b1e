import importlib.util

import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.builders.write import write_records
from mdepth_jax.data.pairs import ImagePairs, write_pairs
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError

COUNT = 150
INSTALLED = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(not INSTALLED, reason="the optional extra `beam` is not installed")


@pytest.fixture
def folder(tmp_path):
    """Images whose color and pairs follow from their number, with depth."""
    folder = tmp_path / "raw"
    for kind in ("images", "depth"):
        (folder / kind).mkdir(parents=True)
    entries = []
    for number in range(COUNT):
        Image.new("RGB", (9, 6), (number, 0, 0)).save(folder / f"images/{number}.png")
        depth = np.arange(0, 90, 10, dtype=np.uint8) * np.ones((6, 1), np.uint8) + np.uint8(number + 1)
        Image.fromarray(depth).save(folder / f"depth/{number}.png")
        points = np.array([[[0, number % 9], [5, 8]]], np.int32)
        entries.append(ImagePairs(f"images/{number}.png", points, np.ones(1, np.int32), (6, 9), 0))
    for split, part in (("train", entries[:-20]), ("test", entries[-20:])):
        write_pairs(folder / f"pairs_{split}.csv", part)
        (folder / f"{split}.txt").write_text("".join(f"{entry.path[7:]}\n" for entry in part))
    return folder


@needs_beam
@pytest.mark.parametrize(("dataset", "drawing"), [("pairs", None), ("folder", PairDrawing(2))])
def test_beam_writes_the_records_of_one_process(folder, tmp_path, dataset, drawing):
    write_records(dataset, folder, tmp_path / "alone", drawing=drawing)
    write_records(dataset, folder, tmp_path / "beam", drawing=drawing, beam_runner="DirectRunner")
    alone, beam = ({path.name for path in (tmp_path / name).iterdir()} for name in ("alone", "beam"))
    assert alone == beam
    for split, count in (("train", COUNT - 20), ("test", 20)):
        alone, beam = (open_source(tmp_path / name, split, maps=Maps(depth=1.0)) for name in ("alone", "beam"))
        assert len(alone) == len(beam) == count
        assert alone.max_pairs == beam.max_pairs
        for index in range(count):
            for key, value in alone[index].items():
                np.testing.assert_array_equal(beam[index][key], value)


@needs_beam
def test_invalid_entries_are_raised_or_listed(folder, tmp_path):
    for number in (100, 7):
        (folder / f"images/{number}.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"pairs_train\.csv:16: images/7\.png: the file is empty"):
        write_records("pairs", folder, tmp_path / "failed", beam_runner="DirectRunner")
    write_records("pairs", folder, tmp_path / "out", beam_runner="DirectRunner", skip_invalid=True)
    assert len(open_source(tmp_path / "out", "train")) == COUNT - 22
    lines = (tmp_path / "out/invalid.txt").read_text().splitlines()
    assert [line.split(": ")[1] for line in lines] == ["images/7.png", "images/100.png"]


@needs_beam
def test_a_split_without_valid_entries(folder, tmp_path):
    for number in range(COUNT - 20, COUNT):
        (folder / f"images/{number}.png").write_bytes(b"")
    with pytest.raises(UserError, match="a split has no valid entry"):
        write_records("pairs", folder, tmp_path / "out", beam_runner="DirectRunner", skip_invalid=True)


@needs_beam
def test_unknown_runner(folder, tmp_path):
    with pytest.raises(UserError, match="`beam_runner` SlowRunner: Apache Beam has no such runner here"):
        write_records("pairs", folder, tmp_path / "out", beam_runner="SlowRunner")


@pytest.mark.skipif(INSTALLED, reason="the optional extra `beam` is installed")
def test_the_error_without_beam_names_the_extra(folder, tmp_path):
    with pytest.raises(UserError, match=r'pip install "mdepth_jax\[beam\]"'):
        write_records("pairs", folder, tmp_path / "out", beam_runner="DirectRunner")
