import sys
from fractions import Fraction

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.inference.video import VideoWriter, open_video


def write(path, frames):
    writer = VideoWriter(path, Fraction(10), *frames[0].shape[:2])
    for frame in frames:
        writer.write(frame)
    writer.close()


def test_a_video_is_read_as_it_was_written(tmp_path):
    frames = [np.full((32, 48, 3), 40 * number, np.uint8) for number in range(6)]
    write(tmp_path / "a.mp4", frames)
    video = open_video(tmp_path / "a.mp4")
    assert (video.rate, video.length) == (10, 6)
    np.testing.assert_allclose(np.array(list(video.frames), float), np.array(frames, float), atol=6)


def test_an_odd_side_becomes_even(tmp_path):
    write(tmp_path / "a.mp4", [np.zeros((31, 47, 3), np.uint8)])
    assert next(open_video(tmp_path / "a.mp4").frames).shape == (30, 46, 3)


def test_a_video_held_upright_is_read_upright(tmp_path):
    """A phone stores a quarter turn to the right as the matrix of the track's header."""
    frame = np.zeros((32, 48, 3), np.uint8)
    frame[:, :24] = 200
    write(tmp_path / "a.mp4", [frame])
    content = (tmp_path / "a.mp4").read_bytes()
    identity = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    turned = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    header = content.index(b"tkhd")
    (tmp_path / "a.mp4").write_bytes(content[:header] + content[header:].replace(identity, turned, 1))
    read = next(open_video(tmp_path / "a.mp4").frames).astype(int)
    np.testing.assert_allclose(read, np.rot90(frame, -1), atol=10)


def test_damaged_videos(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(UserError, match=r"a\.mp4: not a video"):
        open_video(tmp_path / "a.mp4")
    rng = np.random.default_rng(0)
    write(tmp_path / "b.mp4", [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(20)])
    content = bytearray((tmp_path / "b.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = b"\xff" * 5000
    (tmp_path / "b.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"b\.mp4: damaged after frame \d+ "):
        list(open_video(tmp_path / "b.mp4").frames)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'mdepth_jax\[video\]'"):
        open_video(tmp_path / "a.mp4")
