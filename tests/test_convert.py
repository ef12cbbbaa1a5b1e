import json
import re

import numpy as np
import pytest

from mdepth_jax import convert, evaluate, prepare
from mdepth_jax.data.images import read_image
from mdepth_jax.errors import UserError
from mdepth_jax.export import verification
from mdepth_jax.models import TEACHERS, save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network

OPTIONS = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "6"])
    return path


@pytest.fixture(scope="module")
def saved(folder, tmp_path_factory):
    """Weights of a run on a folder of pairs."""
    config = overlay(model=OPTIONS, data={"root": str(folder), "height": 32, "width": 64})
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_weights(
        path, make_network(**OPTIONS), config.model, Header(TrainingRun(config=config.to_dict()), scores={"whdr": 0.25})
    )
    return path


@pytest.fixture(scope="module")
def file(saved, folder, tmp_path_factory):
    """Written by the command line, with its gates."""
    path = tmp_path_factory.mktemp("file") / "m.tflite"
    assert convert.main(["--model", str(saved), "--output", str(path), "--pairs", str(folder / "pairs_test.csv")]) == 0
    return path


def whdr(model, folder, output):
    evaluate.main(["--model", str(model), "--pairs", str(folder / "pairs_test.csv"), "--json", str(output)])
    return json.loads(output.read_text())


def test_file_has_the_size_of_the_run_and_says_what_it_is(file):
    interpreter = DepthInterpreter(file)
    assert (interpreter.height, interpreter.width) == (32, 64)
    assert interpreter.metadata["name"] == "mobilenet_v1 + nnconv5"
    assert interpreter.metadata["scores"] == {"whdr": 0.25}
    assert sorted(path.name for path in file.parent.iterdir()) == ["m.golden.f32", "m.golden.png", "m.md", "m.tflite"]


def test_card_tells_what_was_proved_and_measured(file):
    card = file.with_suffix(".md").read_text()
    assert card.startswith("# m.tflite\n")
    assert "| gate, passed " in card
    assert re.search(r"\| this file +\| WHDR +\| 0\.\d{4} +\| \+- 0\.\d{4} +\| 6 pairs +\| the pairs given", card)
    scaled_image = read_image(file.with_suffix(".golden.png")) - 127.5  # the first layer gives it
    assert float(re.search(r"\| largest value inside +\| ([\d.]+);", card)[1]) > 0.99 * np.abs(scaled_image).max()
    assert re.search(r"\| latency +\| \d+\.\d ms .* p90 \d+\.\d", card)
    assert f"{file.stat().st_size / 1e6:.2f} MB" in card
    assert DepthInterpreter(file).metadata["weights_sha256"] in card


def test_golden_pair_is_what_the_file_gives(file):
    image = read_image(file.with_suffix(".golden.png"))
    golden = np.fromfile(file.with_suffix(".golden.f32"), "<f4").reshape(1, 32, 64, 1)
    np.testing.assert_array_equal(DepthInterpreter(file)(image[np.newaxis]), golden)


def test_evaluation_of_a_file_is_that_of_its_network(saved, file, folder, tmp_path):
    network, exported = (whdr(model, folder, tmp_path / "scores.json") for model in (saved, file))
    assert network["pairs"] == exported["pairs"] > 0
    assert abs(network["wrong"] - exported["wrong"]) <= 1
    with pytest.raises(UserError, match=r"give `pairs`"):
        evaluate.main(["--model", str(file)])


def test_trained_network_in_int8(tmp_path, capsys):
    """MobileNetV2 with the FBNet decoder, calibrated on the scenes that it was trained on."""
    output, layers = tmp_path / "m.tflite", tmp_path / "layers.csv"
    convert.main(["--model", str(TEACHERS["embedded"]), "--output", str(output), "--quantize", "int8", "--integer_io",
                  "--layers", str(layers)])  # fmt: skip
    assert "1 part(s) under XNNPACK" in (printed := capsys.readouterr().out)
    lines = layers.read_text().splitlines()
    assert lines[0] == "layer,low,high,noise,added"
    worst = max(lines[1:], key=lambda line: float(line.split(",")[-1])).split(",")[0]
    assert f"\n{worst} " in printed
    assert output.stat().st_size < 3.3e6


def test_a_file_that_fails_its_gate_is_not_written(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(verification.LARGEST_ERROR, "none", 0.0)
    with pytest.raises(UserError, match="differs from the network"):
        convert.main(["--model", str(saved), "--output", str(tmp_path / "m.tflite")])
    assert not list(tmp_path.iterdir())


def test_int8_that_fails_its_gate_names_the_layers(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "LOWEST_SPEARMAN", 1.1)
    with pytest.raises(UserError, match=r"lost most in ((encoder|decoder)/[^,]+, ){4}.*; train the network"):
        convert.main(["--model", str(saved), "--output", str(tmp_path / "m.tflite"), "--quantize", "int8"])
    assert not list(tmp_path.iterdir())


def test_the_data_of_the_run_are_gone(folder, tmp_path, capsys):
    config = overlay(model=OPTIONS, data={"root": str(tmp_path / "gone"), "height": 32, "width": 64})
    path = tmp_path / "model.safetensors"
    save_weights(path, make_network(**OPTIONS), config.model, Header(TrainingRun(config=config.to_dict())))
    output = tmp_path / "m.tflite"
    with pytest.raises(UserError, match=r"cannot be opened \(.*gone: no such file.*\); give --calibration FOLDER"):
        convert.main(["--model", str(path), "--output", str(output), "--quantize", "int8"])
    assert not output.exists()
    convert.main(["--model", str(path), "--output", str(output), "--height", "64"])
    assert DepthInterpreter(output).height == 64
    assert "comparing on rendered scenes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nothing"], "nothing does not exist"),
        (["--height", "100"], "--height 100: must be a multiple of 32"),
        (["--width", "-64"], "--width -64: must be a multiple of 32"),
        (["--output", "m.bin"], r"m\.bin: the name must end in \.tflite"),
        (["--calibration", "nothing"], "nothing: no such folder"),
        (["--calibration", "."], "holds no images"),
    ],
)
def test_mistakes(saved, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        convert.main(["--model", str(saved), "--output", "m.tflite", *options])
    assert not list(tmp_path.iterdir())


def test_a_run_without_weights(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        convert.main(["--model", str(tmp_path / "run"), "--output", str(tmp_path / "m.tflite")])


def test_a_set_without_pairs(saved, folder, tmp_path):
    (tmp_path / "images").symlink_to(folder / "images")
    (tmp_path / "test.txt").write_text("test_00000\n")
    with pytest.raises(UserError, match="holds no ordinal pairs"):
        convert.main(["--model", str(saved), "--output", str(tmp_path / "m.tflite"), "--pairs", str(tmp_path)])
    assert not list(tmp_path.glob("m*"))


@pytest.mark.parametrize("options", [["--integer_io"], ["--layers", "l.csv"], ["--quantize", "int4"]])
def test_flags_that_do_not_fit(saved, tmp_path, options):
    with pytest.raises(SystemExit, match="2"):
        convert.main(["--model", str(saved), "--output", str(tmp_path / "m.tflite"), *options])
