import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.frames import PairDrawing
from mdepth_jax.data.map_info import read_map_info
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.prepare import RecordsFlags, ScenesFlags, main, parse


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("scenes")
    assert main(["scenes", "--output", str(output), "--count", "2"]) == 0
    return output


def test_flags_are_typed():
    flags = parse(["folder", "--source", "raw", "--output", "out", "--pairs_per_image", "3", "--seed", "2"])
    assert flags == RecordsFlags("folder", Path("raw"), Path("out"), False, "", "", 3, 1.1, 2)
    assert flags.drawing == PairDrawing(3, 1.1, 2)
    assert parse(["diw", "--source", "raw", "--output", "out"]).drawing is None
    assert parse(["scenes", "--output", "out"]) == ScenesFlags("scenes", Path("out"), 100)


def test_records_of_pairs(folder, tmp_path, capsys):
    assert main(["pairs", "--source", str(folder), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.endswith("test: 2 images\ntrain: 2 images\n")
    assert len(open_source(tmp_path / "out", "train")) == 2


def test_the_terms_of_a_published_set_are_printed(tmp_path, capsys):
    (tmp_path / "mannequin/test").mkdir(parents=True)
    with h5py.File(tmp_path / "mannequin/test/0.h5", "w") as file:
        file["gt/img"], file["gt/mvs_depth"] = np.zeros((8, 9, 3), np.uint8), np.ones((8, 9), np.float32)
    main(["mannequin", "--source", str(tmp_path / "mannequin"), "--output", str(tmp_path / "out")])
    assert "terms of Mannequin Challenge: CC BY 4.0" in capsys.readouterr().out


def test_a_failed_run_leaves_nothing(folder, tmp_path):
    raw = tmp_path / "in"
    raw.mkdir()
    (raw / "images").symlink_to(folder / "images")
    text = (folder / "pairs_train.csv").read_text()
    (raw / "pairs_train.csv").write_text(text + "images/none.png\n1,1,2,2,<,320,240\n")
    arguments = ["pairs", "--source", str(raw), "--output", str(tmp_path / "out")]
    with pytest.raises(UserError, match=r"pairs_train\.csv:6: .*no such file"):
        main(arguments)
    assert not (tmp_path / "out").exists()
    main([*arguments, "--skip_invalid"])
    assert (tmp_path / "out/invalid.txt").is_file()


def test_maps_of_a_network(folder, tmp_path, capsys):
    write_network = pytest.importorskip("tests.data.builders.networks").write_network
    network, maps = write_network(tmp_path / "brightness.onnx", (24, 32)), tmp_path / "maps"
    arguments = ["teacher", "--source", str(folder), "--onnx", str(network), "--output", str(maps)]
    assert main([*arguments, "--value_range", "255", "--mean", "1", "2", "3"]) == 0
    assert capsys.readouterr().out.startswith(f"4 maps of relative depth in {maps}, ")
    assert read_map_info(maps).meaning == "relative depth"
    with pytest.raises(UserError, match="made otherwise"):
        main(arguments)


def test_an_image_without_a_map_is_listed(tmp_path, capsys):
    write_network = pytest.importorskip("tests.data.builders.networks").write_network
    (tmp_path / "images").mkdir()
    Image.fromarray(np.tile(np.arange(40, dtype=np.uint8)[:, np.newaxis], (1, 60))).save(tmp_path / "images/a.png")
    (tmp_path / "images/b.png").write_bytes(b"damaged")
    network = write_network(tmp_path / "brightness.onnx", (24, 32))
    assert main(["teacher", "--source", str(tmp_path), "--onnx", str(network), "--inverse"]) == 1
    output = capsys.readouterr()
    assert output.out.endswith("1 images have no map\n")
    assert output.err.splitlines()[-1] == f"{tmp_path}/images/b.png: not an image; replace the file or remove its entry"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scenes", "--count", "0"], "`count` is 0; it must be positive"),
        (["folder", "--source", "raw", "--seed", "1"], "need `pairs_per_image`"),
        (["folder", "--source", "raw", "--min_ratio", "2"], "need `pairs_per_image`"),
        (["folder", "--source", "raw", "--pairs_per_image", "1", "--seed", "-1"], "must not be negative"),
        (["folder", "--source", "raw", "--pairs_per_image", "-1"], "must not be negative"),
        (["folder", "--source", "raw", "--pairs_per_image", "1", "--min_ratio", "0.5"], "`min_ratio` must be at least"),
        (["pairs", "--source", "raw", "--beam_options=--streaming"], "`beam_options` needs `beam_runner`"),
    ],
)
def test_values_that_are_refused(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        main([*arguments, "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["scenes", "--pairs_per_image", "2"],
        ["scenes", "--seed", "1"],
        ["scenes", "--skip_invalid"],
        ["scenes", "--beam_runner", "DirectRunner"],
        ["scenes", "--source", "raw"],
        ["folder", "--source", "raw", "--count", "3"],
        ["pairs"],
    ],
)
def test_flags_that_a_set_does_not_use(tmp_path, arguments):
    with pytest.raises(SystemExit) as error:
        main([*arguments, "--output", str(tmp_path / "out")])
    assert error.value.code == 2
    assert not (tmp_path / "out").exists()


def test_output_is_never_overwritten(folder):
    before = sorted(path.name for path in folder.iterdir())
    for arguments in (["scenes"], ["pairs", "--source", str(folder)]):
        with pytest.raises(UserError, match=r"`output` .*exists and is not empty"):
            main([*arguments, "--output", str(folder)])
    assert sorted(path.name for path in folder.iterdir()) == before


def test_an_error_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "mdepth_jax.prepare", "scenes", "--count", "0", "--output", tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "error: --count is 0; it must be positive\n"
