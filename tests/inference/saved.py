"""A small network as the files that prediction and evaluation read."""

import functools
import json

from mdepth_jax.models import Header, TrainingRun, save_weights
from mdepth_jax.models.score import make_scores
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite.flatbuffer import add_metadata
from mdepth_jax.training.config import overlay
from tests.tflite.networks import make_network

SIZE = 32, 64
LOG = 8.0


@functools.cache
def network():
    """An untrained network whose output is near `output_bias`, and so depth near 1."""
    options = {"encoder": "mobilenet_v1", "decoder": "nnconv5", "width": 0.25, "heads": 0}
    return make_network(**options), options


def save_run(directory, **data):
    """Writes the weights of a run on rendered scenes into its directory."""
    model, options = network()
    height, width = SIZE
    data = {"height": height, "width": width, "log": LOG, "source": "scenes", "count": 4, "eval_count": 4,
            "eval_pairs": 5, **data}  # fmt: skip
    config = overlay(model=options, data=data, loss={"terms": "dense"})
    header = Header(TrainingRun("train", json.loads(config.to_json())), scores=make_scores({"whdr": 0.25}, pairs=20))
    directory.mkdir(parents=True, exist_ok=True)
    save_weights(directory / "model.safetensors", model, config.model, header)
    return directory


def save_mean(path, metadata=None):
    """Writes a `.tflite` file that predicts the mean of the colors of 8x16 pixels."""

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 16, 3), name="image")])
    def mean(image):
        return {"depth": tf.reduce_mean(image, -1, keepdims=True)}

    module = tf.Module()
    module.mean = mean
    converter = tf.lite.TFLiteConverter.from_concrete_functions([mean.get_concrete_function()], module)
    content = converter.convert()
    path.write_bytes(add_metadata(content, metadata) if metadata else content)
    return path
