import json
import re
from pathlib import Path

import numpy as np
import pytest

from mdepth_jax import evaluate, prepare
from mdepth_jax.data.images import read_image
from mdepth_jax.errors import UserError
from mdepth_jax.export import run, verification
from mdepth_jax.export.calibration import RENDERED
from mdepth_jax.export.run import ExportOptions, ExportPaths, export_run
from mdepth_jax.models import save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.models.score import make_scores
from mdepth_jax.tflite.interpreter import DepthInterpreter
from mdepth_jax.training.config import overlay
from tests.tflite.networks import SIZE

OPTIONS = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "6"])
    return path


@pytest.fixture(scope="module")
def save(network, tmp_path_factory):
    """Saves the weights of a run on a folder of data, with images half as high as those of the files."""

    def save(folder):
        config = overlay(model=OPTIONS, data={"root": str(folder), "height": 32, "width": SIZE[1]})
        path = tmp_path_factory.mktemp("run") / "model.safetensors"
        header = Header(TrainingRun(config=config.to_dict()), scores=make_scores({"whdr": 0.25}))
        save_weights(path, network, config.model, header)
        return path

    return save


@pytest.fixture(scope="module")
def saved(save, folder):
    return save(folder)


@pytest.fixture(scope="module")
def result(saved, folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("file") / "m.tflite"
    return export_run(saved, output, ExportOptions(height=SIZE[0], pairs=folder / "pairs_test.csv"))


@pytest.fixture
def converted(content, int8, monkeypatch):
    """Converts nothing again: the network's files are those of the fixtures."""
    files = {"none": content, "float16": content, "int8": int8}
    monkeypatch.setattr(run, "convert", lambda model, height, width, quantize, images, integer_io: files[quantize])
    monkeypatch.setattr(verification, "convert", lambda model, height, width, operators_for: content)


def test_the_file_has_the_given_height_and_the_width_of_the_run(result):
    file = DepthInterpreter(result.paths.model)
    assert (file.height, file.width) == SIZE


def test_metadata_and_files(result):
    file = DepthInterpreter(result.paths.model)
    assert file.metadata["name"] == "mobilenet_v1 + nnconv5"
    assert file.metadata["scores"] == {"whdr": 0.25}
    folder = result.paths.model.parent
    assert sorted(path.name for path in folder.iterdir()) == ["m.golden.f32", "m.golden.png", "m.md", "m.tflite"]
    assert (result.timing.model, result.timing.graph.partitions) == ("m.tflite", file.partitions)
    assert result.verification.pairs == 6


def test_the_card_holds_what_was_measured(result):
    card, path = result.paths.card.read_text(), result.paths.model
    assert card.startswith("# m.tflite\n")
    assert "| limits, kept " in card
    assert re.search(r"\| this file +\| WHDR +\| 0\.\d{4} +\| \+- 0\.\d{4} +\| 6 pairs +\| the pairs given", card)
    scaled_image = read_image(result.paths.golden_image) - 127.5  # the output of the first layer
    assert float(re.search(r"\| largest activation +\| ([\d.]+);", card)[1]) > 0.99 * np.abs(scaled_image).max()
    assert re.search(r"\| latency +\| \d+\.\d ms .* p90 \d+\.\d", card)
    assert f"{path.stat().st_size / 1e6:.2f} MB" in card
    assert DepthInterpreter(path).metadata["weights_sha256"] in card


def test_the_golden_pair_is_input_and_output_of_the_file(result):
    image = read_image(result.paths.golden_image)
    golden = np.fromfile(result.paths.golden_depth, "<f4").reshape(1, *SIZE, 1)
    np.testing.assert_array_equal(DepthInterpreter(result.paths.model)(image[np.newaxis]), golden)


def test_paths_of_a_name_with_dots(tmp_path):
    paths = ExportPaths.for_model(tmp_path / "a.b.tflite")
    names = [path.name for path in (paths.card, paths.golden_image, paths.golden_depth)]
    assert names == ["a.b.md", "a.b.golden.png", "a.b.golden.f32"]


def test_evaluation_of_a_file_is_that_of_its_network(saved, result, folder, tmp_path):
    def score(model):
        output = tmp_path / "scores.json"
        evaluate.main(["--model", str(model), "--pairs", str(folder / "pairs_test.csv"), "--json", str(output)])
        return json.loads(output.read_text())

    network, file = score(saved), score(result.paths.model)
    assert network["pairs"] == file["pairs"] > 0
    assert abs(network["wrong"] - file["wrong"]) <= 1
    with pytest.raises(UserError, match=r"give `pairs`"):
        evaluate.main(["--model", str(result.paths.model)])


@pytest.mark.usefixtures("converted")
def test_the_data_of_the_run_are_gone(save, tmp_path):
    model, output = save(tmp_path / "gone"), tmp_path / "new" / "m.tflite"
    with pytest.raises(UserError, match=r"cannot be opened \(.*gone: no such file.*\); give `calibration=FOLDER`"):
        export_run(model, output, ExportOptions(height=SIZE[0], quantize="int8"))
    assert not list(output.parent.iterdir())
    assert export_run(model, output, ExportOptions(height=SIZE[0])).verification.origin == RENDERED


@pytest.mark.usefixtures("converted")
def test_reports_of_the_layers_of_int8(saved, tmp_path):
    layers = tmp_path / "layers.csv"
    result = export_run(saved, tmp_path / "m.tflite", ExportOptions(height=SIZE[0], quantize="int8", layers=layers))
    lines = layers.read_text().splitlines()
    assert lines[0] == "layer,low,high,noise,added"
    assert [line.split(",")[0] for line in lines[1:]] == [layer.layer for layer in result.layers]
    assert re.search(r"\| quantization +\| int8 ", result.paths.card.read_text())


@pytest.mark.usefixtures("converted")
def test_an_inaccurate_file_is_not_written(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(verification.MAX_ERROR, "none", 0.0)
    (tmp_path / "m.tflite").write_text("earlier")
    with pytest.raises(UserError, match="differs from the network"):
        export_run(saved, tmp_path / "m.tflite", ExportOptions(height=SIZE[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"]
    assert (tmp_path / "m.tflite").read_text() == "earlier"


@pytest.mark.usefixtures("converted")
def test_activations_that_overflow_in_float16(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "compare_layers", lambda *arguments: [run.LayerReport("large", 0.0, 7e4, 0.0, 0.0)])
    options = ExportOptions(height=SIZE[0], quantize="float16", layers=tmp_path / "layers.csv")
    with pytest.raises(UserError, match="layer large reaches 7e"):
        export_run(saved, tmp_path / "m.tflite", options)
    assert [path.name for path in tmp_path.iterdir()] == ["layers.csv"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": Path("nothing")}, "nothing does not exist"),
        ({"height": 100}, "`height` is 100; it must be a multiple of 32"),
        ({"width": -64}, "`width` is -64; it must be a multiple of 32"),
        ({"output": Path("m.bin")}, r"`output` is m\.bin; the name must end in \.tflite"),
        ({"calibration": Path("nothing")}, "nothing: no such folder"),
        ({"calibration": Path()}, "holds no images"),
    ],
)
def test_mistakes(saved, tmp_path, monkeypatch, values, message):
    monkeypatch.chdir(tmp_path)
    values = {"model": saved, "output": Path("m.tflite")} | values
    with pytest.raises(UserError, match=message):
        export_run(values.pop("model"), values.pop("output"), ExportOptions(**values))
    assert not list(tmp_path.iterdir())


def test_a_run_without_weights(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        export_run(tmp_path / "run", tmp_path / "m.tflite")


def test_a_set_without_pairs(saved, folder, tmp_path):
    (tmp_path / "images").symlink_to(folder / "images")
    (tmp_path / "test.txt").write_text("test_00000\n")
    with pytest.raises(UserError, match="holds no ordinal pairs"):
        export_run(saved, tmp_path / "m.tflite", ExportOptions(pairs=tmp_path))
    assert not list(tmp_path.glob("m*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"integer_io": True}, "`integer_io` goes with `quantize=int8`"),
        ({"layers": Path("l.csv"), "quantize": "dynamic"}, "`layers` goes with `quantize=float16` or"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(UserError, match=message):
        ExportOptions(**options)
