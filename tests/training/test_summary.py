import numpy as np
import pytest

from mdepth_jax.data.types import Data, DataSetInfo, EvalSet
from mdepth_jax.metrics import DenseSums
from mdepth_jax.models import TrainingRun, count_macs, count_parameters
from mdepth_jax.training.config import overlay
from mdepth_jax.training.evaluation import Evaluation
from mdepth_jax.training.loop import Result
from mdepth_jax.training.summary import (
    describe_evaluation,
    describe_network,
    describe_recipe,
    next_commands,
    write_report,
)
from mdepth_jax.training.terms import parse_terms, planned_terms
from tests.models.test_depth_net import build_small

IMAGES = np.zeros((1, 4, 4, 3), np.uint8)
DEPTH = DenseSums(np.array([4, 0]), np.array([16.0, 0.0]), np.array([2, 0]), np.array([0.25, 0.0]))


def evaluation(total=200, depth=None):
    return Evaluation(
        np.repeat([1, 0], [50, 150]) * bool(total),
        np.repeat([1, 0], [total, 200 - total]),
        80.0,
        depth,
        IMAGES,
        np.zeros((1, 4, 4, 1), np.float32),
        None,
    )


@pytest.fixture
def config():
    return overlay(name="tiny", data={"source": "scenes"})


def test_scores_that_there_are():
    pairs = ["WHDR 0.2500 +- 0.0600 (95 %, bootstrap over images) (n = 200 pairs on 200 images, 50 wrong)",
             "WHDR 0.4000 of the baseline that knows the image row alone"]  # fmt: skip
    maps = ["RMSE 2.0000, delta1 0.5000, SI-RMSE 0.2500 (n = 1 depth maps)"]
    assert describe_evaluation(evaluation()) == pairs
    assert describe_evaluation(evaluation(total=0, depth=DEPTH)) == maps
    assert describe_evaluation(evaluation(depth=DEPTH)) == pairs + maps
    assert describe_evaluation(None) == []


def test_report(config, tmp_path):
    records = [
        {"step": 4, "total": 1.0, "weight/ranking": 0.5, "weight/pixelwise": 0.5},
        {"step": 4, "val/whdr": 0.25},
        {"step": 8, "total": 1.0, "weight/ranking": 0.25, "weight/pixelwise": 0.75},
        {"step": 8, "val/whdr": 0.5},
    ]
    result = Result(8, True, evaluation(), records)
    earlier = [TrainingRun(config=overlay(data={"root": "somewhere/redweb"}).to_dict())]
    data = Data(
        lambda step: iter(()),
        8,
        test=EvalSet(lambda: (), info=DataSetInfo(name="my rooms"), split="test"),
        val=EvalSet(lambda: (), info=DataSetInfo(name="my rooms"), split="train (validation part)"),
    )
    text = write_report(
        tmp_path,
        config=config,
        result=result,
        network="SIZE",
        seconds=90.0,
        data=data,
        earlier=earlier,
        terms=parse_terms("ranking"),
    )
    assert (tmp_path / "report.md").read_text() == text
    recipe = "Learns from ranking; teacher: none; initial weights: those of the run before"
    assert text.startswith(f"# tiny\n\nSIZE\n\n{recipe}\n\nTest set:\nWHDR 0.2500 +- ")
    assert (
        "\nValidation set, my rooms train (validation part): WHDR 0.2500 at step 4, the best of 2 evaluations; its "
        "weights are in model.safetensors.\n" in text
    )
    assert (
        "\n\n8 steps; 1.5 minutes in this process\n\n| step | WHDR | weights of the losses |\n|---|---|---|\n" in text
    )
    assert "| 4 | 0.2500 | ranking 0.500, pixelwise 0.500 |\n| 8 | 0.5000 | ranking 0.250, pixelwise 0.750 |\n" in text
    assert "relative depth, larger = farther" in text
    assert "\nmeasured on my rooms test: whole images at 224x448\nread once, at the end\n" in text
    assert "| data in redweb " in text
    assert text.endswith("\n")


def test_recipe_of_a_run_and_what_it_lacks(config):
    for groups, expected in (
        ({"teacher": {"run": "embedded"}}, "Learns from ranking + pixelwise + pairwise; teacher: embedded; initial "
         "weights: random"),
        ({"loss": {"terms": "ranking"}, "needs": "ranking+pixelwise+pretrained", "without": "teacher"},
         "Learns from ranking; teacher: none; initial weights: random\n"
         "Not the whole recipe of the paper: without pixelwise, pretrained weights"),
        ({"loss": {"terms": "pixelwise"}, "teacher": {"maps": True}, "needs": "pixelwise+pretrained",
          "model": {"pretrained": "imagenet.npz"}},
         "Learns from pixelwise; teacher: cached maps; initial weights: imagenet.npz"),
    ):  # fmt: skip
        run = overlay(**groups)
        assert describe_recipe(run, planned_terms(run)) == expected


def test_next_commands(config, tmp_path):
    run = tmp_path / "my run"
    assert next_commands(run, config)[0] == f"python -m mdepth_jax.evaluate --model '{run}'"
    assert any("configs/kd.py:pairs" in line for line in next_commands(run, config))
    own = next_commands(run, overlay(data={"root": "DIR"}))
    assert own[-1] == f"python -m mdepth_jax.evaluate --model '{run}' --pairs YOUR.csv"


def test_size_of_a_network_without_its_heads():
    (text,) = {describe_network(build_small(heads=heads), 32, 64) for heads in (0, 2)}
    model = build_small(heads=0)
    size = f"{count_parameters(model):,} parameters, {count_macs(model, 32, 64) / 1e9:.3f} GMACs at 32x64"
    assert text == f"{size} (without intermediate heads)"
