import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.export.verification import MAX_ERROR, compare, predict
from mdepth_jax.models import DECODERS, ENCODERS
from mdepth_jax.models.layers import global_mean, upsample_bilinear_aligned
from mdepth_jax.tensorflow_cpu import tf
from mdepth_jax.tflite import conversion
from mdepth_jax.tflite.flatbuffer import count_operators
from mdepth_jax.tflite.interpreter import INPUT, OUTPUT, count_partitions, create_interpreter
from tests.tflite.networks import SIZE, make_network

VARIANTS = (
    {"last_layer": "block", "kernel": 3, "preprocessing": "torchvision"},
    {"fusion": "add"},
    {"encoder": "mobilenet_v1", "decoder": "redweb"},
)
# Other tests cover mobilenet_v1, mobilenet_v2 and efficientnet_b0; mnasnet has the layers of mobilenet_v2 and
# efficientnet_es, mixnet_m those of mixnet_s; resnet50 has 25 million parameters.
OTHERS = ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "mnasnet", "mixnet_m", "resnet50")
QUICK = [{"encoder": name} for name in ENCODERS if name not in OTHERS]
SLOW = [{"encoder": name, "decoder": decoder} for name in ENCODERS for decoder in DECODERS]


def run(content, images):
    interpreter = create_interpreter(model_content=content)
    predict = interpreter.get_signature_runner()
    return np.concatenate([predict(image=image[np.newaxis].astype(np.float32))["depth"] for image in images])


def check(model, images):
    content = conversion.convert(model, *SIZE)
    assert compare(predict(model, images), run(content, images)).error < MAX_ERROR["none"]
    assert count_partitions(create_interpreter(model_content=content)) == 1


@pytest.fixture(scope="module")
def default():
    """The paper's network, and its file."""
    model = make_network(width=1.0)
    return model, conversion.convert(model, *SIZE)


def test_default_network_equals_its_file(default, images):
    model, content = default
    assert compare(predict(model, images), run(content, images)).error < MAX_ERROR["none"]


def test_default_network_is_one_partition_of_few_operators(default):
    _, content = default
    interpreter = create_interpreter(model_content=content)
    assert count_partitions(interpreter) == 1
    (delegate,) = (part for part in interpreter._get_ops_details() if part["op_name"] == "DELEGATE")
    assert interpreter.get_input_details()[0]["index"] in delegate["inputs"]
    assert interpreter.get_output_details()[0]["index"] in delegate["outputs"]
    assert count_operators(content) == {
        "SUB": 1,  # the mean of the image; its deviation is in the first kernel
        "CONV_2D": 36 + 4 * 2 + 5,  # encoder; two rows in four blocks; head and skips
        "DEPTHWISE_CONV_2D": 17 + 4 * 2,
        "ADD": 10 + 5,
        "CONCATENATION": 4 * 2,
        "RESHAPE": 4 * 3,
        "RESIZE_BILINEAR": 1,
    }
    assert max(len(tensor["shape"]) for tensor in interpreter.get_tensor_details()) <= 4


def test_signature_names_input_and_output(default):
    interpreter = create_interpreter(model_content=default[1])
    assert list(interpreter.get_signature_list().values()) == [{"inputs": [INPUT], "outputs": [OUTPUT]}]
    (image,), (depth,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["shape"].tolist(), image["dtype"]) == ([1, *SIZE, 3], np.float32)
    assert (depth["shape"].tolist(), depth["dtype"]) == ([1, *SIZE, 1], np.float32)


@pytest.mark.parametrize("options", QUICK, ids=lambda options: options["encoder"])
def test_every_encoder_equals_its_file(options, images):
    if options["encoder"] == "shufflenet_v2":
        options = options | {"width": 0.5}
    check(make_network(**options), images[:2])


@pytest.mark.parametrize("options", VARIANTS, ids=lambda options: "-".join(map(str, options.values())))
def test_every_decoder_equals_its_file(options, images):
    check(make_network(**options), images[:2])


@pytest.mark.slow
@pytest.mark.parametrize("options", SLOW, ids=lambda options: "-".join(options.values()))
def test_every_encoder_with_every_decoder_at_full_width(options, images):
    check(make_network(width=1.0, **options), images[:2])


@pytest.mark.parametrize(
    ("size", "name"), [((100, 64), "`height` is 100"), ((64, 0), "`width` is 0"), ((64, -32), "`width` is -32")]
)
def test_sizes_that_the_network_would_pad(network, size, name):
    with pytest.raises(UserError, match=f"{name}; it must be a multiple of 32"):
        conversion.convert(network, *size)


def test_operators_that_phones_do_not_run(network, monkeypatch):
    monkeypatch.setattr(conversion, "OPERATORS", conversion.OPERATORS - {"CONV_2D", "RESHAPE"})
    with pytest.raises(UserError, match="would hold CONV_2D, RESHAPE, which delegates of phones do not run"):
        conversion.convert(network, *SIZE)


def test_a_jaxpr_that_ends_in_a_lowering_or_has_none():
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 2)).astype(np.float32)
    functions = (global_mean, upsample_bilinear_aligned, lambda x: 2 * x, lambda x: x - global_mean(x))
    for function in functions:
        result = conversion.evaluate_jaxpr(jax.make_jaxpr(function)(jnp.asarray(x)), tf.constant(x))
        np.testing.assert_allclose(result, function(jnp.asarray(x)), rtol=1e-5, atol=1e-6)
