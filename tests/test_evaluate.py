import json
from pathlib import Path

import numpy as np
import pytest

from mdepth_jax import evaluate, prepare
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.inference.network import Network
from mdepth_jax.inference.scoring import evaluate_network
from mdepth_jax.models import Header
from mdepth_jax.training.config import overlay
from tests.inference.saved import save_mean, save_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "6"])
    return path


@pytest.fixture
def network(monkeypatch):
    """A network that predicts the brightness."""
    config = overlay(data={"height": 32, "width": 64, "crop": "center", "eval_crop": "eigen"})
    network = Network(
        Path("run"), lambda images: images.mean(-1, keepdims=True, dtype=np.float32), config, Header(), ""
    )
    monkeypatch.setattr(evaluate, "open_network", lambda path: network)
    return network


def run(*arguments):
    assert evaluate.main(["--model", "run", *map(str, arguments)]) == 0


def test_pairs(folder, network, tmp_path, capsys):
    """Whole images count, whatever crop the run evaluates on."""
    output = tmp_path / "new/scores.json"
    run("--pairs", folder / "pairs_test.csv", "--batch_size", "4", "--json", output)
    scores = json.loads(output.read_text())
    config = overlay(data={"height": 32, "width": 64})
    expected = evaluate_network(network.model, open_source(folder / "pairs_test.csv"), config, batch_size=4)
    assert (scores["wrong"], scores["pairs"]) == (expected.wrong, expected.total)
    assert (scores["whdr"], scores["model"]) == (expected.whdr, "run")
    assert f"WHDR {expected.whdr:.4f}" in capsys.readouterr().out
    assert network.config.data.crop == "center"


def test_images_in_another_folder(folder, network, tmp_path):
    copy = tmp_path / "elsewhere.csv"
    copy.write_text((folder / "pairs_test.csv").read_text())
    run("--pairs", copy, "--images", folder)
    with pytest.raises(UserError, match=r"elsewhere\.csv:2: .*no such file"):
        run("--pairs", copy)


def test_depth_maps_next_to_the_images(folder, network, tmp_path, capsys):
    output = tmp_path / "scores.json"
    run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--align", "nyu", "--json", output)
    scores = json.loads(output.read_text())
    source = open_source(folder / "pairs_test.csv", maps=Maps(depth=0.001))
    config = overlay(data={"height": 32, "width": 64})
    expected = evaluate_network(network.model, source, config, batch_size=8, has_maps=True, align=True).scores
    assert scores["depth_maps"] == 6
    assert {name: scores[name] for name in expected} == expected
    assert f"RMSE {scores['rmse']:.4f}" in capsys.readouterr().out
    with pytest.raises(UserError, match="is 320x240, the crop is for 640x480"):
        run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--crop", "eigen")


def test_a_file_of_weights_knows_its_held_out_set(tmp_path, capsys):
    path = save_run(tmp_path) / "model.safetensors"
    evaluate.main(["--model", str(path)])
    assert "n = 20 held-out pairs" in capsys.readouterr().out


def test_an_exported_file_needs_pairs(folder, tmp_path, capsys):
    path = save_mean(tmp_path / "mean.tflite")
    with pytest.raises(UserError, match="does not know its held-out set; give `pairs`"):
        evaluate.main(["--model", str(path)])
    evaluate.main(["--model", str(path), "--pairs", str(folder / "pairs_test.csv")])
    assert "n = 6 held-out pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "train"], "go with `pairs`"),
        (["--crop", "eigen"], "go with `pairs`"),
        (["--pairs", "f.csv", "--crop", "eigen"], "need `depth_scale`"),
        (["--pairs", "f.csv", "--align", "nyu"], "need `depth_scale`"),
        (["--batch_size", "0"], "`batch_size` is 0"),
    ],
)
def test_flags_that_would_do_nothing(flags, message):
    with pytest.raises(UserError, match=message):
        evaluate.parse(["--model", "run", *flags])


def test_a_run_without_depth_maps_cannot_be_aligned(network):
    network.config.data.update({"source": "scenes", "eval_count": 1})
    with pytest.raises(UserError, match="`align` is 'nyu', but run is not evaluated on depth maps"):
        run("--align", "nyu")
