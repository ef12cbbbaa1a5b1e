import dataclasses
import hashlib

from mdepth_jax.export.metadata import describe_file
from mdepth_jax.models import Header, Weights
from mdepth_jax.models.score import make_scores
from mdepth_jax.training.config import overlay


def test_description(tmp_path, network):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    config = overlay(data={"root": "data/nyuv2", "log": 4.0, "height": 64, "width": 96})
    header = Header(output="depth, larger = farther, in meters", scores=make_scores({"whdr": 0.2}, pairs=10))
    weights = Weights(path, network, config.model, header)
    metadata = describe_file(weights, config, "int8")
    assert metadata.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert metadata.output == header.output
    assert "larger = farther" in describe_file(dataclasses.replace(weights, header=Header()), config, "int8").output
    assert "64x96" in metadata.input
    assert (metadata.training_data, metadata.scores) == ("data in nyuv2", {"whdr": 0.2, "pairs": 10})
    assert metadata.config == {"data": {"log": 4.0, "crop": "none"}, "loss": {"terms": "auto"}}
    assert list(metadata.to_dict())[:4] == ["name", "output", "input", "training_data"]
    assert metadata.to_dict()["model"] == config.model.to_dict()
