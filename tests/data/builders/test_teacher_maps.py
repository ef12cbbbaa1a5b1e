import json

import numpy as np
import pytest
from PIL import Image

from mdepth_jax.data.builders.teacher_job import TeacherJob
from mdepth_jax.data.builders.teacher_maps import write_teacher_maps
from mdepth_jax.data.images import read_map
from mdepth_jax.data.map_info import MapInfo, read_map_info
from mdepth_jax.data.sources.folders import ImageFolder
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.errors import UserError
from mdepth_jax.files import hash_file
from tests.data.builders.networks import write_network

SIZE = (16, 24)


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "data/images/more").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "more/c.png"):
        Image.fromarray(rng.integers(1, 256, (*SIZE, 3), np.uint8)).save(tmp_path / "data/images" / name)
    return tmp_path / "data"


@pytest.fixture
def network(tmp_path):
    """The brightness of a picture, at half of its size."""
    return write_network(tmp_path / "brightness.onnx", (8, 12))


def brightness(source, name="a.png"):
    image = Image.open(source / "images" / name).resize((12, 8), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32).sum(-1) / 255


def read(source):
    """Returns the maps as training reads them."""
    folder = ImageFolder(source, maps=Maps(teacher_depth=0.0))
    return {
        entry.path: example for entry, example in zip(folder.entries, map(folder.__getitem__, range(3)), strict=True)
    }


def fit(values, target):
    """Returns the slope of the best line from values to the target, and checks that it fits."""
    slope, shift = np.polyfit(values.ravel(), target.ravel(), 1)
    np.testing.assert_allclose(values * slope + shift, target, atol=2e-4 * np.ptp(target))
    return slope


def test_relative_depth_is_read_back_up_to_scale_and_shift(source, network):
    report = write_teacher_maps(TeacherJob(onnx=[network], source=source))
    assert report.summary.startswith(f"3 maps of relative depth in {source}/teacher, ")
    assert sorted(path.name for path in (source / "teacher").rglob("*")) == [
        "a.png",
        "about.json",
        "b.png",
        "c.png",
        "more",
    ]
    examples = read(source)
    assert fit(examples["images/a.png"]["teacher_depth"], brightness(source)) > 0
    assert fit(examples["images/more/c.png"]["teacher_depth"], brightness(source, "more/c.png")) > 0
    assert examples["images/a.png"]["teacher_relative"]
    codes = read_map(source / "teacher/a.png")
    assert (codes.min(), codes.max()) == (1, 65535)


def test_inverse_depth_is_read_with_larger_farther(source, network):
    write_teacher_maps(TeacherJob(onnx=[network], source=source, inverse=True))
    assert fit(read(source)["images/a.png"]["teacher_depth"], -brightness(source)) > 0
    assert read_map_info(source / "teacher") == MapInfo("inverse relative depth", 1 / 65535)


def test_the_logarithm_of_inverse_depth(source, network):
    write_teacher_maps(TeacherJob(onnx=[network], source=source, inverse=True, space="log"))
    assert fit(read(source)["images/a.png"]["teacher_depth"], -np.log(brightness(source))) > 0
    assert read_map_info(source / "teacher").meaning == "relative depth"


def test_meters_keep_their_unit_and_what_lies_beyond_the_codes_is_unknown(source, tmp_path):
    far = write_network(tmp_path / "far.onnx", (8, 12), bias=653.5)
    report = write_teacher_maps(TeacherJob(onnx=[far], source=source, meters=True, map_scale=0.01))
    example = read(source)["images/a.png"]
    depth, expected = example["teacher_depth"], brightness(source) + 653.5
    np.testing.assert_array_equal(np.isnan(depth), expected > 655.355)
    np.testing.assert_allclose(depth[~np.isnan(depth)], expected[~np.isnan(depth)], atol=0.006)
    assert "teacher_relative" not in example
    assert "% of the pixels are unknown" in report.summary


def test_how_the_maps_were_made_is_written(source, network):
    write_teacher_maps(TeacherJob(onnx=[network], source=source, preset=["fastdepth"], mirror=True))
    about = json.loads((source / "teacher/about.json").read_text())
    assert about["meaning"] == "depth in meters"
    assert about["map_scale"] == 0.001
    assert about["mirror"] is True
    (entry,) = about["networks"]
    assert entry["file"] == "brightness.onnx"
    assert entry["sha256"] == hash_file(network)
    assert entry["preset"] == "fastdepth"
    assert entry["input"]["size"] == "12x8"


def test_the_mirrored_picture_takes_away_what_leans_to_a_side(source, tmp_path, network):
    leaning = write_network(tmp_path / "leaning.onnx", (8, 12), ramp=np.tile(np.linspace(-1, 1, 12), (8, 1)))
    write_teacher_maps(TeacherJob(onnx=[leaning], source=source, mirror=True))
    # Every view is normalized by itself, so that a small part of the ramp stays.
    mirrored = np.corrcoef(read(source)["images/a.png"]["teacher_depth"].ravel(), brightness(source).ravel())[0, 1]
    other = source / "teacher_without"
    write_teacher_maps(TeacherJob(onnx=[leaning], source=source, output=other))
    alone = np.corrcoef(read_map(other / "a.png").ravel(), brightness(source).ravel())[0, 1]
    assert mirrored > 0.99 > alone


def test_scales_and_the_aspect_of_the_picture(source, tmp_path, network):
    free = write_network(tmp_path / "free.onnx", ("height", "width"))
    write_teacher_maps(TeacherJob(onnx=[free], source=source, size=32, scales=[1.0, 2.0]))
    assert read_map(source / "teacher/a.png").shape == SIZE  # no larger than the picture
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 135, 3), np.uint8)).save(source / "images/a.png")
    write_teacher_maps(TeacherJob(onnx=[free], source=source, size=32, output=source / "teacher_large"))
    assert read_map(source / "teacher_large/a.png").shape == (37, 55)  # of as many pixels as 32x64, in its own aspect
    with pytest.raises(UserError, match=r"`scales`: .* takes images of 12x8 only"):
        write_teacher_maps(TeacherJob(onnx=[network], source=source, scales=[1.0, 2.0]))


def test_several_networks_and_where_they_disagree(source, tmp_path, network):
    shadow = np.zeros((8, 12))
    shadow[:2] = 5
    other = write_network(tmp_path / "other.onnx", (8, 12), ramp=shadow)
    job = {"onnx": [network, other], "source": source, "meters": True}
    write_teacher_maps(TeacherJob(**job, weights=[1.0, 1e-6], output=source / "first"))
    mean = read_map(source / "first/a.png")
    assert fit(mean, np.log(brightness(source))) > 0
    report = write_teacher_maps(TeacherJob(**job, disagreement=2.0, output=source / "agreed"))
    unknown = read_map(source / "agreed/a.png") == 0
    assert unknown[:2].mean() > 0.8
    assert unknown[2:].mean() < 0.2
    assert "unknown" in report.summary


def test_a_stopped_job_continues_and_another_one_is_refused(source, network, tmp_path):
    job = TeacherJob(onnx=[network], source=source)
    write_teacher_maps(job)
    (source / "teacher/b.png").unlink()
    before = (source / "teacher/a.png").stat().st_mtime_ns
    report = write_teacher_maps(job)
    assert report.summary.startswith("1 maps")
    assert "2 were there already" in report.summary
    assert (source / "teacher/a.png").stat().st_mtime_ns == before
    assert write_teacher_maps(job).summary.startswith("0 maps")
    with pytest.raises(UserError, match=r"made otherwise \(other mirror\); .*choose another `output`, or remove"):
        write_teacher_maps(TeacherJob(onnx=[network], source=source, mirror=True))
    other = write_network(tmp_path / "other.onnx", (8, 12), bias=1.0)
    with pytest.raises(UserError, match=r"made otherwise \(other networks\)"):
        write_teacher_maps(TeacherJob(onnx=[other], source=source))
    (source / "teacher/about.json").unlink()
    with pytest.raises(UserError, match=r"holds maps without about\.json"):
        write_teacher_maps(job)


def test_bad_images_are_listed_and_the_others_get_their_map(source, network):
    (source / "images/a.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(source / "images/black.png")
    report = write_teacher_maps(TeacherJob(onnx=[network], source=source))
    assert [str(error).split(": ")[0] for error in report.failures] == [
        f"{source}/images/{name}" for name in ("a.png", "black.png")
    ]
    assert "same everywhere" in str(report.failures[1])
    assert report.summary.endswith("2 images have no map")
    assert (source / "teacher/b.png").is_file()
    assert not (source / "teacher/a.png").exists()


def test_folders_and_networks_that_cannot_work_leave_nothing(source, tmp_path):
    broken = write_network(tmp_path / "broken.onnx", (8, 12), bias=np.nan)
    with pytest.raises(UserError, match="not finite"):
        write_teacher_maps(TeacherJob(onnx=[broken], source=source))
    assert not (source / "teacher").exists()
    with pytest.raises(UserError, match="images: holds no images"):
        write_teacher_maps(TeacherJob(onnx=[broken], source=tmp_path / "none"))
    for path in (source / "images").rglob("*.*g"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no image can be read; the first: .*a\.png: the file is empty"):
        write_teacher_maps(TeacherJob(onnx=[broken], source=source))


def test_a_wrong_sign_is_found_before_the_first_map(source, network):
    lines = []
    for name in ("a.png", "b.jpg", "more/c.png"):
        seen = brightness(source, name)
        for left in range(0, 24, 4):  # the brighter of the two is labeled as farther
            sign = ">" if seen[0, left // 2] > seen[7, left // 2] else "<"
            lines.append(f"images/{name}\n1,{left + 1},16,{left + 1},{sign},24,16\n")
    (source / "pairs_train.csv").write_text("".join(lines))
    with pytest.raises(UserError, match="the wrong way round, as inverse relative depth"):
        write_teacher_maps(TeacherJob(onnx=[network], source=source, inverse=True))
    assert not (source / "teacher").exists()
    write_teacher_maps(TeacherJob(onnx=[network], source=source))
