from dataclasses import replace

import pytest

from mdepth_jax.data.about import KNOWN_SETS
from mdepth_jax.data.types import DataSetInfo
from mdepth_jax.export.metadata import describe_file
from mdepth_jax.export.model_card import ModelCard
from mdepth_jax.export.verification import Agreement, Verification
from mdepth_jax.models import Header, TrainingRun, Weights
from mdepth_jax.models.score import make_scores
from mdepth_jax.tflite.timing import FileTiming, GraphSummary
from mdepth_jax.training.config import overlay

VERIFICATION = Verification(32, "photos", Agreement(4.8e-4, 0.99991), max_activation=127.5)
TIMING = FileTiming(
    model="m.tflite",
    input="1x96x128x3 float32",
    threads=1,
    p50_ms=2.16,
    p90_ms=2.94,
    min_ms=2.05,
    ratio=1.0,
    file_mb=5.31,
    memory_mb=None,
    graph=GraphSummary(parameters=10, macs=20, ops={"CONV_2D": 42, "ADD": 10}, not_delegated={}, partitions=1),
)
CONFIG = {
    "data": {"root": "data/nyuv2", "height": 96, "width": 128, "batch_size": 8},
    "teacher": {"maps": True, "run": "embedded"},
    "train": {"epochs": 6},
    "seed": 3,
}
NOTHING = Header()


@pytest.fixture
def write(network, tmp_path):
    """Writes the card of a run with a given header and configuration."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    def write(header=NOTHING, verification=VERIFICATION, timing=TIMING, quantize="float16", **groups):
        config = overlay(**(CONFIG | groups))
        header = replace(header, run=replace(header.run, config=config.to_dict()))
        weights = Weights(tmp_path / "model.safetensors", network, config.model, header)
        return ModelCard(
            metadata=describe_file(weights, config, quantize),
            config=config,
            header=header,
            network="2.6M parameters, 0.087 GMACs",
            verification=verification,
            timing=timing,
            setting="a processor, 2 cores, 3 x 10 runs",
        ).to_markdown()

    return write


def cells(text):
    """Parses the rows of all tables, by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows}


def test_sections_in_order(write):
    lines = write().splitlines()
    assert lines[0] == "# m.tflite"
    assert [line for line in lines if line.startswith("## ")] == [
        "## Input and output", "## Check it in your app", "## Training", "## Accuracy", "## This file", "## Licenses",
        "## Limits",
    ]  # fmt: skip
    assert "mobilenet_v2 + fbnet, 2.6M parameters, 0.087 GMACs" in lines[2]
    assert "CVPRW 2021" in lines[2]


def test_training_from_the_header(write):
    text = write(Header(TrainingRun("python -m mdepth_jax.train --config x"), terms=("ranking", "pixelwise"), step=495))
    rows = cells(text)
    assert rows["data"] == ["data/nyuv2, split train"]
    assert rows["losses"] == ["ranking + pixelwise"]
    assert rows["teacher"] == ["cached maps in data/nyuv2/teacher and embedded"]
    assert rows["length"] == ["6 epochs; weights of step 495"]
    assert rows["their weights"] == ["rebalanced hard_to_easy, strength 3"]
    assert rows["initial weights"] == ["random"]
    assert rows["seed"] == ["3"]
    assert "\n    python -m mdepth_jax.train --config x\n" in text


def test_what_the_run_lacked_of_its_recipe(write):
    row = "not the whole recipe of the paper"
    recipe = {"needs": "ranking+pixelwise+pretrained", "loss": {"terms": "ranking"}, "teacher": {}}
    assert cells(write(**recipe))[row] == ["without pixelwise, pretrained weights"]
    assert row not in write()


def test_what_the_header_lacks_is_unknown(write):
    text = write()
    rows = cells(text)
    assert rows["length"] == ["unknown"]
    assert "\n    unknown\n" in text
    assert "Unknown: the weights hold no score" in text
    assert cells(write(Header(scores=make_scores({"whdr": 0.2}))))["network"][1:4] == [
        "0.2000",
        "not computed",
        "unknown pairs",
    ]
    assert cells(write(Header(scores=make_scores({"rmse": 0.8}, depth_maps=654))))["network"][:4] == [
        "RMSE", "0.8000", "not computed", "654 maps",
    ]  # fmt: skip


def test_scores_have_their_number_and_interval(write):
    data = DataSetInfo(name="my rooms")
    scores = make_scores({"whdr": 0.25}, pairs=100, data=data, split="test", interval=0.0849)
    rows = cells(write(Header(scores=scores)))
    assert rows["network"] == ["WHDR", "0.2500", "+- 0.0849", "100 pairs", "my rooms test"]
    judged = replace(
        VERIFICATION, pairs=400, network_whdr=0.25, file_whdr=0.26, network_interval=0.02, file_interval=0.03
    )
    rows = cells(write(Header(scores=scores), judged))
    given = ["400 pairs", "the pairs given to the conversion"]
    assert rows["network"] == ["WHDR", "0.2500", "+- 0.0200", *given]
    assert rows["this file"] == ["WHDR", "0.2600", "+- 0.0300", *given]


def test_figures_of_the_file(write):
    rows = cells(write())
    assert rows["size"] == ["5.31 MB"]
    assert rows["largest error"] == ["4.8e-04 of the range of the network's depth"]
    assert rows["rank correlation"] == ["0.99991 with the network's depth"]
    assert rows["compared on"] == ["32 images (photos)"]
    assert rows["limits, kept"] == [
        "largest error at most 0.001 of the range of the depth, rank correlation at least 0.99"
    ]
    assert rows["latency"] == ["2.2 ms (median; p90 2.9, least 2.0)"]
    assert "a processor, 2 cores, 3 x 10 runs, 1 thread" in rows["measured on"][0]
    assert rows["largest activation"] == ["128; GPUs that compute in float16 hold 65504"]
    assert rows["operators"] == ["42 CONV_2D, 10 ADD"]
    assert rows["not delegated"] == ["none"]
    assert cells(write(NOTHING, quantize="int8"))["limits, kept"] == ["rank correlation at least 0.99"]


def test_a_network_that_went_through_several_runs(write):
    config = overlay(data={"root": "any"}, model={"pretrained": "keras"}).to_dict()
    before = TrainingRun("first", config, (KNOWN_SETS["diw"],))
    text = write(Header(TrainingRun("second"), earlier=(before,)), model={"start": "runs/first"})
    rows = cells(text)
    assert rows["initial weights"] == ["those of the run before"]
    assert "\n    first\n    second\n" in text
    assert {"Depth in the Wild", "weights of Keras Applications", "ImageNet"} <= rows.keys()
    assert "runs/first" not in text
    assert cells(write(NOTHING, model={"start": "runs/first"}))["initial weights"] == ["runs/first"]


def test_limits_follow_the_file(write):
    assert "It was trained at" not in write()
    larger = replace(TIMING, input="1x256x256x3 float32")
    assert "It sees 256x256 pixels (HxW)" in (text := write(NOTHING, timing=larger))
    assert "It was trained at 96x128" in text
    assert "Quantized" in write(NOTHING, quantize="int8")
    assert "no single factor turns it into meters" in write()
    assert "off by an unknown factor" in write(NOTHING, loss={"terms": "dense"})
    assert "overflow in float16" not in write()
    assert "overflow in float16" in write(NOTHING, replace(VERIFICATION, max_activation=7e4), quantize="none")
    assert "scale and zero point" not in write()
    assert "scale and zero point" in write(NOTHING, timing=replace(TIMING, input="1x96x128x3 uint8"))
    assert "which are no photographs" in write(NOTHING, data={"source": "scenes", "count": 4})
