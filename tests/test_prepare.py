import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from mdepth_jax import cli
from mdepth_jax.data.scenes import Scenes
from mdepth_jax.data.sources import Maps, open_source
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


def test_output_is_never_overwritten(folder):
    before = sorted(path.name for path in folder.iterdir())
    for arguments in (["scenes"], ["pairs", "--source", str(folder)]):
        with pytest.raises(UserError, match="exists and is not empty"):
            main([*arguments, "--output", str(folder)])
    assert sorted(path.name for path in folder.iterdir()) == before


def test_missing_source(tmp_path):
    with pytest.raises(UserError, match=r"--source .*no such folder"):
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
    assert result.stderr.startswith("error: --source none: ")
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
