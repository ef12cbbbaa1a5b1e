"""Keras Applications against our encoders: the same features from the same random weights, taken over either way."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import build_model, default_config, load_pretrained
from mdepth_jax.models.depth_net import PREPROCESSING
from mdepth_jax.models.encoders import MobileNetV3Large
from mdepth_jax.models.pretrained.keras import build_application
from mdepth_jax.models.pretrained.publishers import KERAS

SIZE = 64
WIDTHS = {"mobilenet_v1": 0.25, "mobilenet_v2": 0.35, "mobilenet_v3_large": 0.75, "efficientnet_b0": 1.0}
# The layers after which our features leave; "+" is the one after.
TAPS = {
    "mobilenet_v1": [f"conv_pw_{number}_relu" for number in (1, 3, 5, 11, 12, 13)],
    "mobilenet_v2": [
        *("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_12_add", "block_16_project_BN"),
        "out_relu",
    ],
    "mobilenet_v3_large": [
        *("expanded_conv_add", "expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add", "conv_1_bn+"),
        "conv_2+",
    ],
    "efficientnet_b0": [
        *("block1a_project_bn", "block2b_add", "block3b_add", "block5c_add", "block7a_project_bn"),
        "top_activation",
    ],
}


def build(name, **changes):
    preprocessing = "torchvision_same" if name == "efficientnet_b0" else "tensorflow"
    options = {"encoder": name, "width": WIDTHS.get(name, 1.0), "preprocessing": preprocessing, "norm_epsilon": 1e-3}
    config = default_config()
    config.update(options | {"decoder": "nnconv5", "heads": 0} | changes)
    return nnx.eval_shape(lambda: build_model(config, rngs=nnx.Rngs(0)))


def randomize(variables):
    rng = np.random.default_rng(0)
    for name, variable in variables.items():
        value = rng.normal(size=variable.shape)
        if len(variable.shape) == 4:
            value *= np.sqrt(2 / np.prod(variable.shape[:3]))
        elif name.endswith("variance"):
            value = 0.5 + np.abs(value)
        else:
            value = 0.1 * value + name.endswith("gamma")
        variable.set_value(jnp.asarray(value, jnp.float32))


def give(application, variables):
    """Sets every tensor of a Keras model but the classifier's."""
    for layer in application.layers:
        names = [f"{layer.name}/{variable.name}" for variable in layer.weights]
        if names and not names[0].startswith(KERAS.left_out):
            values = [np.asarray(variables.pop(name)) for name in names]
            if type(layer).__name__ == "DepthwiseConv2D":
                values = [value.swapaxes(2, 3) for value in values]
            layer.set_weights(values)
    assert not variables


@pytest.fixture(scope="module", params=WIDTHS)
def pair(request):
    """A network of ours and Keras's, which has the same random weights."""
    model = build(request.param)
    application = build_application(model.encoder, None, SIZE)
    variables = KERAS.variables(model.encoder)
    randomize(variables)
    give(application, dict(variables))
    for layer in application.layers:
        if type(layer).__name__ == "Normalization":
            mean, deviation, _ = PREPROCESSING["torchvision"]
            layer.set_weights([np.float32(mean) / 255, np.square(np.float32(deviation) / 255), np.int64(0)])
            layer.finalize_state()
    return request.param, model, application


@nnx.jit
def features_of(encoder, image):
    *features, head = encoder(image)
    if isinstance(encoder, MobileNetV3Large):  # Keras pools before its head
        head = encoder.head(features[-1].mean((1, 2), keepdims=True))
    return *features, head


def keras_features(name, application, image):
    layers = application.layers
    names = [layer.name for layer in layers]
    outputs = [layers[names.index(tap.rstrip("+")) + tap.endswith("+")].output for tap in TAPS[name]]
    scales_inside = any(layer.name.startswith("rescaling") for layer in layers)
    taps = type(application)(application.input, outputs)
    return taps(image if scales_inside else image / 127.5 - 1, training=False)


def assert_same_features(name, model, application):
    model.encoder.eval()
    image = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.float32)
    mean, deviation, _ = PREPROCESSING[model.preprocessing]
    ours = features_of(model.encoder, jnp.asarray((image - np.float32(mean)) / np.float32(deviation)))
    theirs = keras_features(name, application, image)
    for feature, reference in zip(ours, map(np.asarray, theirs), strict=True):
        assert np.ptp(reference) > 0
        np.testing.assert_allclose(feature, reference, rtol=0, atol=1e-4 * np.abs(reference).max())


def test_features_of_our_weights_in_keras(pair):
    assert_same_features(*pair)


def test_features_of_keras_weights_in_ours(pair, tmp_path):
    name, model, application = pair
    path = tmp_path / "application.weights.h5"
    application.save_weights(path)
    taken = build(name)
    load_pretrained(taken, path)
    variables = KERAS.variables(taken.encoder)
    for tensor, variable in KERAS.variables(model.encoder).items():
        np.testing.assert_array_equal(variable, variables[tensor], tensor)
    assert_same_features(name, taken, application)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file of a complete Keras model, and a model of ours that reads it."""
    model = build("mobilenet_v1")
    path = tmp_path_factory.mktemp("keras") / "application.keras"
    build_application(model.encoder, None, SIZE).save(path)
    return model, path


def test_a_complete_model_is_read_and_a_part_of_its_file_is_not(saved, tmp_path):
    model, path = saved
    load_pretrained(model, path)
    part = tmp_path / "part.keras"
    part.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"part\.keras: Keras cannot read weights of MobileNet, classifier included"):
        load_pretrained(model, part)
    with pytest.raises(UserError, match=r"none\.keras: no such file"):
        load_pretrained(model, tmp_path / "none.keras")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "mobilenet_v1",
            {"norm_epsilon": 1e-5},
            r"set `config\.model\.preprocessing=tensorflow` `config\.model\.norm",
        ),
        ("mobilenet_v1", {"preprocessing": "torchvision"}, r"holds weights of Keras, which were not trained with"),
        ("mobilenet_v1", {"width": 0.5}, r"Keras cannot read weights of MobileNet"),
        ("mobilenet_v2", {}, r"Keras cannot read weights of MobileNetV2"),
        ("ghostnet", {}, r"Keras has no weights of GhostNet, only of EfficientNetB0, MobileNetV1, MobileNetV2, Mob"),
    ],
)
def test_another_network_is_refused(saved, name, changes, message):
    with pytest.raises(UserError, match=message) as error:
        load_pretrained(build(name, **changes), saved[1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "width"), [("mobilenet_v1", 0.3), ("efficientnet_b0", 0.5)])
def test_keras_publishes_some_widths(name, width):
    with pytest.raises(UserError, match=r"Keras cannot read weights of .*(alpha can be one of|only width 1)"):
        load_pretrained(build(name, width=width), "keras")


def test_networks_alone_need_no_tensorflow():
    script = "import sys, mdepth_jax.models; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
