import dataclasses
import hashlib

import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.export.metadata import describe, unfinished
from mdepth_jax.models import Header, Weights
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network


def test_a_file_appears_when_it_is_finished(tmp_path):
    output = tmp_path / "new" / "m.tflite"
    with unfinished(output) as path:
        path.write_bytes(b"whole")
        assert not output.exists()
    assert output.read_bytes() == b"whole"
    assert list(output.parent.iterdir()) == [output]


def test_a_failure_leaves_what_was_there(tmp_path):
    output = tmp_path / "m.tflite"
    output.write_bytes(b"earlier")

    def fail():
        with unfinished(output) as path:
            path.write_bytes(b"half")
            raise UserError("too far off")

    with pytest.raises(UserError, match="too far off"):
        fail()
    assert output.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.onnx", r"m\.onnx: the name must end in \.tflite"),
        ("folder.tflite", "cannot be written"),
        ("file/m.tflite", "cannot be written"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, message):
    (tmp_path / "folder.tflite").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=message), unfinished(tmp_path / name):
        pass


def test_description(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    config = overlay(data={"root": "data/nyuv2", "log": 4.0, "height": 64, "width": 96})
    header = Header(output="depth, larger = farther, in metres", scores={"whdr": 0.2}, pairs=10)
    weights = Weights(path, make_network(), config.model, header)
    about = describe(weights, config, "int8")
    assert about["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert about["output"] == header.output
    assert "larger = farther" in describe(dataclasses.replace(weights, header=Header()), config, "int8")["output"]
    assert "64x96" in about["input"]
    assert (about["training_data"], about["scores"]) == ("nyuv2", {"whdr": 0.2, "pairs": 10})
    assert about["config"] == {"data": {"log": 4.0}, "loss": {"terms": "auto"}}
