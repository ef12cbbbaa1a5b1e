import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax import evaluate, prepare
from mdepth_jax.data.images import resize_image, resize_map
from mdepth_jax.data.sources.maps import Maps
from mdepth_jax.data.sources.open import open_source
from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, save_weights
from mdepth_jax.models.header import Header, TrainingRun
from mdepth_jax.training.config import overlay


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes"
    prepare.main(["scenes", "--output", str(path), "--count", "6"])
    return path


@pytest.fixture(scope="module")
def model():
    data = {"height": 32, "width": 64, "source": "scenes", "count": 4, "eval_count": 4, "eval_pairs": 5}
    config = overlay(model={"width": 0.25}, data=data)
    return build_model(config.model, rngs=nnx.Rngs(0)), config


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    network, config = model
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_weights(path, network, config.model, Header(TrainingRun(config=config.to_dict())))
    return path


def test_equals_a_plain_loop_over_the_pairs(folder, model, saved, tmp_path, capsys):
    """Every pair at the image's own size, the prediction resized there by hand."""
    network, _ = model
    network.eval()
    wrong = total = 0
    for example in open_source(folder / "pairs_test.csv"):
        depth = np.asarray(network(jnp.asarray(resize_image(example["image"], 32, 64)[np.newaxis])).depth)[0, :, :, 0]
        height, width = example["image"].shape[:2]
        for points, relation in zip(example["points"], example["relation"], strict=True):
            z_a, z_b = (bilinear(depth, (y + 0.5) * 32 / height - 0.5, (x + 0.5) * 64 / width - 0.5) for y, x in points)
            wrong += np.sign(z_a - z_b) != relation
            total += 1
    output = tmp_path / "scores.json"
    evaluate.main(["--model", str(saved), "--pairs", str(folder / "pairs_test.csv"), "--batch_size", "4", "--json",
                   str(output)])  # fmt: skip
    scores = json.loads(output.read_text())
    assert (scores["wrong"], scores["pairs"]) == (wrong, total)
    assert scores["whdr"] == wrong / total
    assert f"WHDR {wrong / total:.4f}" in capsys.readouterr().out


def bilinear(values, y, x):
    y, x = np.clip(y, 0, values.shape[0] - 1), np.clip(x, 0, values.shape[1] - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
    above = values[top, left] + (values[top, right] - values[top, left]) * (x - left)
    below = values[bottom, left] + (values[bottom, right] - values[bottom, left]) * (x - left)
    return above + (below - above) * (y - top)


def test_images_in_another_folder(folder, saved, tmp_path):
    copy = tmp_path / "elsewhere.csv"
    copy.write_text((folder / "pairs_test.csv").read_text())
    evaluate.main(["--model", str(saved), "--pairs", str(copy), "--images", str(folder)])
    with pytest.raises(UserError, match=r"elsewhere\.csv:2: .*no such file"):
        evaluate.main(["--model", str(saved), "--pairs", str(copy)])


def test_depth_maps_beside_the_images(folder, model, saved, tmp_path, capsys):
    network, _ = model
    network.eval()
    squares = []
    for example in open_source(folder / "pairs_test.csv", maps=Maps(depth=0.001)):
        small = jnp.asarray(resize_image(example["image"], 32, 64)[np.newaxis])
        depth = resize_map(np.asarray(network(small).depth)[0, :, :, 0], *example["depth"].shape)
        depth = (depth - depth.mean()) / depth.std(ddof=1) * 0.6148231626 + 2.8424594402
        depth = np.where(depth < 0, depth[depth > 0].min() + 1e-5, depth)
        squares.append((depth - example["depth"])[np.isfinite(example["depth"])] ** 2)
    output = tmp_path / "scores.json"
    evaluate.main(["--model", str(saved), "--pairs", str(folder / "pairs_test.csv"), "--depth_scale", "0.001",
                   "--align", "nyu", "--json", str(output)])  # fmt: skip
    scores = json.loads(output.read_text())
    assert scores["depth_maps"] == 6
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(np.concatenate(squares))), rel=1e-3)
    assert 0 <= scores["delta1"] <= 1
    assert f"RMSE {scores['rmse']:.4f}" in capsys.readouterr().out
    with pytest.raises(UserError, match="is 320x240, the crop is for 640x480"):
        evaluate.main(["--model", str(saved), "--pairs", str(folder / "pairs_test.csv"), "--depth_scale", "0.001",
                       "--crop", "eigen"])  # fmt: skip


def test_a_file_of_weights_knows_its_held_out_set(saved, capsys):
    evaluate.main(["--model", str(saved)])
    assert "n = 20 held-out pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags",
    [
        ["--split", "train"],
        ["--crop", "eigen"],
        ["--pairs", "f.csv", "--crop", "eigen"],
        ["--pairs", "f.csv", "--align", "nyu"],
    ],
)
def test_flags_that_would_do_nothing(flags):
    with pytest.raises(SystemExit, match="2"):
        evaluate.parse(["--model", "run", *flags])


def test_a_run_without_depth_maps_cannot_be_aligned(saved):
    with pytest.raises(UserError, match=r"--align nyu: .* is not judged by depth maps"):
        evaluate.main(["--model", str(saved), "--align", "nyu"])
