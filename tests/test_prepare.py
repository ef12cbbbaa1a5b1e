import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from mdepth_jax import cli
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.data.sources.scenes import Scenes
from mdepth_jax.errors import UserError
from mdepth_jax.prepare import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("scenes")
    main(["scenes", "--output", str(output), "--count", "2"])
    return output


def test_scenes_are_a_folder_of_pairs(folder):
    maps = Maps(depth=0.001)
    for split in ("train", "test"):
        source, scenes = open_source(folder, split, maps=maps), Scenes(2, 240, 320, split=split)
        assert len(source) == 2
        for index in range(2):
            example, scene = source[index], scenes[index]
            for key in ("image", "points", "relation"):
                np.testing.assert_array_equal(example[key], scene[key])
            np.testing.assert_allclose(example["depth"], np.minimum(scene["depth"], 65.535), atol=6e-4)


def test_prepare_pairs(folder, tmp_path, capsys):
    main(["pairs", "--source", str(folder), "--output", str(tmp_path / "out")])
    assert "train: 2 images" in capsys.readouterr().out
    records = open_source(tmp_path / "out", "train", maps=Maps(depth=0.001))
    np.testing.assert_array_equal(records[1]["depth"], open_source(folder, "train", maps=records.maps)[1]["depth"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pairs"]


def test_skip_invalid_reports(folder, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    (source / "images").symlink_to(folder / "images")
    text = (folder / "pairs_train.csv").read_text()
    (source / "pairs_train.csv").write_text(text + "images/none.png\n1,1,2,2,<,320,240\n")
    with pytest.raises(UserError, match=r"pairs_train\.csv:6: .*no such file"):
        main(["pairs", "--source", str(source), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    main(["pairs", "--source", str(source), "--output", str(tmp_path / "out"), "--skip_invalid"])
    assert "left out: 1 entries" in capsys.readouterr().out
    assert (tmp_path / "out/invalid.txt").read_text().startswith(f"{source}/pairs_train.csv:6: ")


@pytest.fixture(scope="module")
def frames(folder, tmp_path_factory):
    """The scenes as a folder of images and depth maps with lists, without pairs."""
    source = tmp_path_factory.mktemp("frames")
    for kind in ("images", "depth"):
        (source / kind).symlink_to(folder / kind)
    for split in ("train", "test"):
        names = sorted(path.stem for path in (folder / "images").glob(f"{split}_*"))
        (source / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return source


def draw(source, output, *options):
    main(["folder", "--source", str(source), "--output", str(output), "--pairs_per_image", "4", *options])


def test_pairs_drawn_from_depth_maps(frames, tmp_path):
    draw(frames, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "depth_folder", "pairs_test.csv", "pairs_train.csv",
    ]  # fmt: skip
    records = open_source(tmp_path / "out", "test", maps=Maps(depth=0.001))
    csv = open_source(tmp_path / "out/pairs_test.csv", root=frames)
    assert len(records) == len(csv) == 2
    for index in range(2):
        for key in ("image", "points", "relation"):
            np.testing.assert_array_equal(records[index][key], csv[index][key])
        y, x = np.moveaxis(csv[index]["points"], -1, 0)
        a, b = records[index]["depth"][y, x].T
        assert len(a) == 4
        assert (np.maximum(a, b) > 1.1 * np.minimum(a, b)).all()
        np.testing.assert_array_equal(csv[index]["relation"], np.sign(a - b))


def test_drawn_pairs_follow_the_seed_and_the_ratio(frames, tmp_path):
    for name, options in {"a": [], "b": [], "c": ["--seed", "1"], "d": ["--min_ratio", "2"]}.items():
        draw(frames, tmp_path / name, *options)
    a, b, c = ((tmp_path / name / "pairs_train.csv").read_text() for name in "abc")
    assert a == b
    assert a != c
    source = open_source(tmp_path / "d", "train", maps=Maps(depth=0.001))
    for index in range(2):
        y, x = np.moveaxis(source[index]["points"], -1, 0)
        depth = source[index]["depth"][y, x]
        assert (depth.max(1) > 2 * depth.min(1)).all()


def test_images_inside_of_an_archive_lie_beside_the_pairs(tmp_path, capsys):
    (tmp_path / "mannequin/test").mkdir(parents=True)
    image, depth = np.zeros((18, 32, 3), np.uint8), np.arange(1, 33, dtype=np.float32) * np.ones((18, 1), np.float32)
    with h5py.File(tmp_path / "mannequin/test/0.h5", "w") as file:
        file["gt/img"], file["gt/mvs_depth"] = image, depth
    arguments = ["--source", str(tmp_path / "mannequin"), "--output", str(tmp_path / "out"), "--pairs_per_image", "2"]
    main(["mannequin", *arguments])
    assert "terms of Mannequin Challenge: CC BY 4.0" in capsys.readouterr().out
    example = open_source(tmp_path / "out/pairs_test.csv")[0]
    np.testing.assert_array_equal(example["image"], image)
    x = example["points"][..., 1]
    np.testing.assert_array_equal(example["relation"], np.sign(x[:, 0] - x[:, 1]))


def test_pairs_are_not_drawn_where_there_are_some(folder, tmp_path):
    with pytest.raises(UserError, match="`pairs_per_image`: pairs has pairs of its own"):
        main(["pairs", "--source", str(folder), "--output", str(tmp_path / "out"), "--pairs_per_image", "1"])
    for option, value in (("--min_ratio", "0.5"), ("--seed", "-1"), ("--pairs_per_image", "-1")):
        with pytest.raises(SystemExit):
            draw(folder, tmp_path / "out", option, value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["scenes", "--pairs_per_image", "2"],
        ["scenes", "--seed", "1"],
        ["scenes", "--skip_invalid"],
        ["scenes", "--beam_runner", "DirectRunner"],
        ["scenes", "--source", "raw"],
        ["scenes", "--count", "0"],
        ["folder", "--source", "raw", "--count", "3"],
        ["folder", "--source", "raw", "--seed", "1"],
        ["folder", "--source", "raw", "--min_ratio", "2"],
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
        with pytest.raises(UserError, match="exists and is not empty"):
            main([*arguments, "--output", str(folder)])
    assert sorted(path.name for path in folder.iterdir()) == before


def test_missing_source(tmp_path):
    with pytest.raises(UserError, match=r"none: no such folder"):
        main(["pairs", "--source", str(tmp_path / "none"), "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        main(["pairs", "--output", str(tmp_path / "out")])


def test_a_mistake_is_one_line_and_status_2(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mdepth_jax.prepare",
        "pairs",
        "--source",
        "none",
        "--output",
        tmp_path / "out",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: none: no such folder")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("key: wrong; do this"), "error: key: wrong; do this\n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "f"), "error: f: No space left on device; free"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "f"),
            "error: f: Permission denied; choose",
        ),
    ],
)
def test_run_tells_what_went_wrong(capsys, error, message):
    def fail(argv):
        raise error

    with pytest.raises(SystemExit) as exit_:
        cli.run(fail)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith(message)


def test_run_does_not_hide_our_own_mistakes():
    def fail(argv):
        raise FileNotFoundError(errno.ENOENT, "a bug")

    with pytest.raises(FileNotFoundError):
        cli.run(fail)


@pytest.mark.parametrize(("status", "code"), [(None, None), (3, 3)])
def test_run_exits_with_the_status_of_main(status, code):
    with pytest.raises(SystemExit) as exit_:
        cli.run(lambda argv: status)
    assert exit_.value.code == code
