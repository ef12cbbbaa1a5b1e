import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from mdepth_jax import predict
from mdepth_jax.data.images import read_image, resize_image, resize_map
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.inference.predictor import load_predictor
from mdepth_jax.inference.video import open_video
from mdepth_jax.models import build_model, save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.training.config import overlay
from tests.inference.test_video import write as write_video

SIZES = {"a": (40, 50), "b": (20, 90), "room/c": (32, 64)}


@pytest.fixture(scope="module")
def network():
    config = overlay(model={"width": 0.25, "output_bias": 3.0}, data={"height": 32, "width": 64, "log": 2.0})
    model = build_model(config.model, rngs=nnx.Rngs(0))
    model.set_attributes(implementation="lax")
    return model, config


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    """A run directory, as far as prediction needs one."""
    model, config = network
    path = tmp_path_factory.mktemp("run")
    save_weights(path / "model.safetensors", model, config.model, Header(TrainingRun(config=config.to_dict())))
    return path


@pytest.fixture(scope="module")
def predictor(run):
    return load_predictor(run, batch_size=2)


@pytest.fixture
def main(run, predictor, monkeypatch):
    """The command line with a run that is loaded once for all tests."""
    monkeypatch.setattr(predict, "load_predictor", lambda path, **options: predictor)
    return lambda *arguments: predict.main(["--model", str(run), *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        file = path / "images" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file)
    return path


def test_images_get_their_networks_prediction(network, folder, main, tmp_path, capsys):
    """Three sizes in batches of two, by one program."""
    model, _ = network
    model.eval()
    assert main(folder / "images", "--output", tmp_path, "--npy") == 0
    images = [read_image(folder / "images" / f"{name}.png") for name in SIZES]
    small = jnp.asarray(np.stack([resize_image(image, 32, 64) for image in images]))
    expected = np.asarray(nnx.jit(lambda model, image: model(image).depth)(model, small))[..., 0]
    for (name, size), values in zip(SIZES.items(), expected, strict=True):
        depth = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(depth, np.exp(resize_map(values, *size) / 2), rtol=1e-4)
    assert "3 predictions at 64x32" in capsys.readouterr().out


def test_maps_teach_another_run(folder, main, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "images").symlink_to(folder / "images")
    (data / "train.txt").write_text("a\nroom/c\n")
    assert main(data / "images", "--output", data / "teacher", "--raw16", "--npy") == 0
    source = open_source(data, "train", maps=Maps(teacher_depth=0.001))
    for example, name in zip(source, ("a", "room/c"), strict=True):
        assert example["teacher_depth"].shape == SIZES[name]
        np.testing.assert_allclose(example["teacher_depth"], np.load(data / f"teacher/{name}.npy"), atol=0.00051)


def test_images_of_every_kind(main, tmp_path):
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)).save(folder / "alpha.png")
    Image.fromarray(rng.integers(0, 256, (20, 30), dtype=np.uint8)).save(folder / "grey.png")
    Image.fromarray(rng.integers(0, 65536, (20, 30), dtype=np.uint16)).save(folder / "deep.png")
    assert main(f"{folder}/*", "--output", tmp_path / "out", "--color", "--side_by_side", "--ply", "--fov", "60") == 0
    assert read_image(tmp_path / "out/turned_color.png").shape == (30, 20, 3)
    for name in ("alpha", "grey", "deep"):
        assert read_image(tmp_path / f"out/{name}_side_by_side.jpg").shape == (20, 60, 3)
        assert (tmp_path / f"out/{name}.ply").stat().st_size > 20 * 30 * 15


def test_broken_files_are_listed_in_the_end(folder, main, tmp_path, capsys):
    broken = tmp_path / "in"
    broken.mkdir()
    good = (folder / "images/a.png").read_bytes()
    for number in range(5):
        (broken / f"{number}.png").write_bytes(good)
    (broken / "1.png").write_bytes(good[: len(good) // 2])
    (broken / "3.png").write_bytes(b"")
    (broken / "film.mp4").write_bytes(good[100:])
    assert main(broken, broken / "film.mp4", "--output", tmp_path / "out") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[-4:-1]] == [
        str(broken / name) for name in ("1.png", "3.png", "film.mp4")
    ]
    assert lines[-1] == "3 of 6 files could not be read"
    assert len(list((tmp_path / "out").glob("*_color.png"))) == 3


def test_a_video_becomes_videos_and_a_map_for_each_frame(main, tmp_path):
    rng = np.random.default_rng(0)
    write_video(tmp_path / "film.mp4", [rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(5)])
    assert main(tmp_path / "film.mp4", "--output", tmp_path / "out", "--color", "--side_by_side", "--raw16") == 0
    for kind, width in {"color": 60, "side_by_side": 120}.items():
        video = open_video(tmp_path / f"out/film_{kind}.mp4")
        assert [frame.shape for frame in video.frames] == [(40, width, 3)] * 5
        assert video.rate == 10
    maps = sorted(path.name for path in (tmp_path / "out/film").iterdir())
    assert maps == [f"{number:06d}.png" for number in range(5)]


def test_a_tflite_file(folder, tmp_path):
    """A network that predicts the mean of the colours."""

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 16, 3), name="image")])
    def mean(image):
        return {"depth": tf.reduce_mean(image, -1, keepdims=True)}

    module = tf.Module()
    module.mean = mean
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=mean.get_concrete_function())
    file = tmp_path / "mean.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved")).convert())
    predict.main(["--model", str(file), str(folder / "images"), "--output", str(tmp_path / "out"), "--npy"])
    for name, size in SIZES.items():
        small = resize_image(read_image(folder / "images" / f"{name}.png"), 8, 16).astype(np.float32).mean(-1)
        np.testing.assert_allclose(np.load(tmp_path / f"out/{name}.npy"), resize_map(small, *size), rtol=1e-5)
    with pytest.raises(UserError, match="takes 16x8 alone"):
        load_predictor(file, height=16)


@pytest.mark.parametrize(("inputs", "output", "message"), [
    ("images", "images/out", "where images are read"),
    ("images", "images", "where images are read"),
    ("images/a.png", "images", "would be written over"),
])  # fmt: skip
def test_images_are_never_written_over(folder, main, inputs, output, message):
    with pytest.raises(UserError, match=message):
        main(folder / inputs, "--output", folder / output, "--raw16")


@pytest.mark.parametrize("flags", [["--ply"], ["--ply", "--fov", "180"], ["--batch_size", "0"], ["--height", "0"]])
def test_wrong_flags(flags, tmp_path):
    with pytest.raises(SystemExit) as error:
        predict.parse(["--model", "run", "a.png", "--output", "out", *flags])
    assert error.value.code == 2
