import dataclasses
import hashlib
import json

import numpy as np
import pytest
from flax import nnx

from mdepth_jax import evaluate, prepare
from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.loading import open_data
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.files import hash_file
from mdepth_jax.inference.network import Network
from mdepth_jax.inference.scoring import evaluate_network
from mdepth_jax.models import Header, build_model, load_weights
from mdepth_jax.models.score import read_scores
from mdepth_jax.training import logbook
from mdepth_jax.training.config import overlay
from mdepth_jax.training.loop import Trainer
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.terms import wanted_maps
from tests.inference.saved import save_mean, save_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "6"])
    return path


@pytest.fixture
def network(monkeypatch, tmp_path):
    """A network that predicts the brightness."""
    config = overlay(data={"height": 32, "width": 64, "crop": "center", "eval_crop": "eigen"})
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    network = Network(path, lambda images: images.mean(-1, keepdims=True, dtype=np.float32), config, Header(step=7), "")
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
    assert scores["scores"]["whdr"] == {
        "metric": "whdr", "value": expected.whdr, "data_set": "scenes", "split": "test", "count": 6, "step": 7,
        "data_name": KNOWN_SETS["scenes"].name, "weights": hashlib.sha256(b"weights").hexdigest(),
        "interval": expected.interval,
        "protocol": {"view": "whole", "crop": "none", "align": "none", "height": 32, "width": 64},
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert f"WHDR {expected.whdr:.4f}" in printed
    assert "measured on rendered scenes of mdepth_jax test: whole images at 32x64" in printed
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
    config = overlay(data={"height": 32, "width": 64, "crop": "center"})
    expected = evaluate_network(network.model, source, config, batch_size=8, has_maps=True, align="nyu").scores
    assert scores["depth_maps"] == 6
    assert scores["scores"]["rmse"]["protocol"] == {
        "view": "middle", "crop": "none", "align": "nyu", "height": 32, "width": 64,
    }  # fmt: skip
    assert scores["scores"]["whdr"]["protocol"]["view"] == "whole"
    assert {name: scores[name] for name in expected} == expected
    printed = capsys.readouterr().out
    assert f"RMSE {scores['rmse']:.4f}" in printed
    assert "test: the middle of images at 32x64, aligned to nyu" in printed
    run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--json", tmp_path / "default.json")
    assert json.loads((tmp_path / "default.json").read_text()) == scores
    with pytest.raises(UserError, match="is 320x240, the crop is for 640x480"):
        run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--crop", "eigen")


@pytest.mark.parametrize("align", ["affine", "disparity"])
def test_a_fit_to_each_depth_map(folder, tmp_path, capsys, align):
    """Of an exported file as of a run, with the protocol and the number of maps."""
    path, output = save_mean(tmp_path / "mean.tflite"), tmp_path / "scores.json"
    flags = ["--pairs", str(folder / "pairs_test.csv"), "--depth_scale", "0.001", "--align", align]
    evaluate.main(["--model", str(path), *flags, "--json", str(output)])
    result = json.loads(output.read_text())
    names = ("abs_rel", "delta1", "delta2", "delta3", "rmse")
    assert 0 < result["abs_rel"] < 1
    assert 0 < result["delta1"] <= result["delta2"] <= result["delta3"] <= 1
    scores = read_scores(result)
    for name in names:
        assert (scores[name].value, scores[name].count, scores[name].protocol.align) == (result[name], 6, align)
    printed = capsys.readouterr().out
    assert f"AbsRel {result['abs_rel']:.4f}, delta1 {result['delta1']:.4f}, delta2" in printed
    assert "(n = 6 depth maps)" in printed
    disparity = "the disparity of " if align == "disparity" else ""
    assert f"whole images at 8x16, scale and shift fitted to {disparity}each depth map" in printed


def test_maps_that_no_line_can_be_fitted_to(folder, network, monkeypatch):
    unknown = np.full((4, 4), np.nan, np.float32)
    monkeypatch.setattr("mdepth_jax.data.pipeline.rows.visible_depth", lambda *arguments: unknown)
    with pytest.raises(UserError, match=r"pairs_test\.csv: no depth map has two known pixels"):
        run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--align", "affine")


def test_a_file_of_weights_knows_its_held_out_set(tmp_path, capsys):
    path = save_run(tmp_path) / "model.safetensors"
    evaluate.main(["--model", str(path)])
    assert "n = 20 pairs on 4 images" in capsys.readouterr().out


def test_an_exported_file_needs_pairs(folder, tmp_path, capsys):
    path = save_mean(tmp_path / "mean.tflite")
    with pytest.raises(UserError, match="does not know its test set; give `pairs`"):
        evaluate.main(["--model", str(path)])
    evaluate.main(["--model", str(path), "--pairs", str(folder / "pairs_test.csv")])
    assert "n = 6 pairs on 6 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "train"], "go with `pairs`"),
        (["--crop", "eigen"], "go with `pairs`"),
        (["--pairs", "f.csv", "--crop", "eigen"], "need `depth_scale`"),
        (["--pairs", "f.csv", "--align", "nyu"], "need `depth_scale`"),
        (["--pairs", "f.csv", "--align", "disparity"], "need `depth_scale`"),
        (["--batch_size", "0"], "`batch_size` is 0"),
    ],
)
def test_flags_that_would_do_nothing(flags, message):
    with pytest.raises(UserError, match=message):
        evaluate.parse(["--model", "run", *flags])


def test_relative_depth_is_not_compared_as_it_is(folder, network):
    """A prediction that is 0 or negative would have no logarithm, and no value has a ratio to meters."""
    with pytest.raises(
        UserError, match=r"run predicts relative depth, .* as they are; set `align=nyu`, `align=affine` or"
    ):
        run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--align", "none")
    network.config.loss.terms = "mannequin"
    run("--pairs", folder / "pairs_test.csv", "--depth_scale", "0.001", "--align", "none")


@pytest.mark.parametrize("terms", ["ranking", "ranking+l1"])
def test_a_run_is_evaluated_as_it_evaluates_itself(folder, tmp_path, optax_promotes, terms):
    """Also if it crops: pairs of whole images, and depth in the middle; and relative depth is aligned."""
    config = overlay(
        model={"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0},
        data={"root": str(folder), "height": 32, "width": 32, "batch_size": 2, "crop": "center"},
        loss={"terms": terms},
        rebalance={"order": "off"},
        train={"epochs": 1, "evaluations_per_epoch": 1, "best_by": "rmse"},
    )
    data, supervision = open_data(config, wanted_maps(config))
    model = build_model(config.model, rngs=nnx.Rngs(0))
    objective = make_objective(config, supervision)
    Trainer(config=config, workdir=tmp_path, model=model, objective=objective, data=data).run()
    own = {key: value for key, value in logbook.read(tmp_path)[-1].items() if key.startswith("test/")}
    evaluate.main(["--model", str(tmp_path), "--json", str(tmp_path / "scores.json")])
    result = json.loads((tmp_path / "scores.json").read_text())
    assert {f"test/{name}": result[name] for name in ("whdr", "rmse", "delta1", "si_rmse")} == pytest.approx(own)
    header = load_weights(tmp_path).header
    assert header.scores["rmse"].protocol.view == "middle"
    weights = hash_file(tmp_path / "model.safetensors")
    kept = {name: dataclasses.replace(score, weights=weights) for name, score in header.scores.items()}
    found = read_scores(result)
    assert {name: dataclasses.replace(score, value=kept[name].value) for name, score in found.items()} == kept


def test_a_run_without_depth_maps_cannot_be_aligned(network):
    network.config.data.update({"source": "scenes", "eval_count": 1})
    for align in ("nyu", "affine"):
        with pytest.raises(UserError, match=f"`align` is '{align}', but run is not evaluated on depth maps"):
            run("--align", align)
