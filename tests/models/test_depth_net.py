import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthNet, build_model, count_parameters
from mdepth_jax.models.decoders import FBNetDecoder, NNConv5Decoder, ReDWebDecoder
from mdepth_jax.models.depth_net import PREPROCESSING
from mdepth_jax.models.layers import BatchNorm, Conv, ConvNorm

DEFAULTS = {
    "encoder": "mobilenet_v2",
    "width": 1.0,
    "norm_epsilon": 1e-5,
    "preprocessing": "tensorflow",
    "decoder": "fbnet",
    "kernel": 5,
    "expansion": 2.0,
    "fusion": "concat",
    "last_layer": "upsample",
    "heads": 0,
    "output_bias": 0.0,
    "output_scale": 1.0,
    "dtype": "float32",
    "widths": (),
}


def build(**changes):
    return build_model(ConfigDict(DEFAULTS | changes), rngs=nnx.Rngs(0))


class SmallEncoder(nnx.Module):
    """Five strided convolutions and a head: a network that compiles in a moment."""

    widths = (4, 6, 8, 10, 12, 24)

    def __init__(self, rngs):
        ins, outs = (3, *self.widths[:-1]), self.widths
        strides = (2, 2, 2, 2, 2, 1)
        self.layers = nnx.List(
            ConvNorm(Conv(*channels, 3, stride, rngs=rngs), nnx.relu)
            for *channels, stride in zip(ins, outs, strides, strict=True)
        )

    def __call__(self, image):
        return tuple(itertools.accumulate(self.layers, lambda x, layer: layer(x), initial=image))[1:]


def build_small(preprocessing="tensorflow", dtype=jnp.float32, decoder=FBNetDecoder, **changes):
    rngs = nnx.Rngs(0)
    encoder = SmallEncoder(rngs)
    model = DepthNet(encoder, decoder(encoder.widths, rngs=rngs, **changes), preprocessing, dtype)
    model.set_attributes(implementation="lax")
    return model


def draw_image(*shape):
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))


@nnx.jit
def predict(model, image):
    return model(image)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 2_580_225),
        ({"last_layer": "block"}, 2_581_617),
        ({"fusion": "add"}, 2_510_321),
        ({"heads": 1}, 2_583_250),
        ({"heads": 2}, 2_591_171),
    ],
)
def test_parameter_count(changes, count):
    model = nnx.eval_shape(partial(build, **changes))
    assert count_parameters(model) == count
    assert count_parameters(nnx.state(model, nnx.Param)) == count
    if changes.get("heads"):
        assert count_parameters(model.without_heads()) == 2_580_225


@pytest.mark.parametrize("heads", [0, 1, 2])
def test_heads_exist_only_in_training(heads):
    model = build_small(heads=heads)
    image = draw_image(2, 32, 64)
    outputs = predict(model, image)
    assert outputs.depth.shape == (2, 32, 64, 1)
    assert outputs.features.shape == (2, 16, 32, 8)
    assert [auxiliary.shape for auxiliary in outputs.auxiliary] == [(2, 32, 64, 1)] * heads
    for auxiliary in outputs.auxiliary:
        assert not np.allclose(auxiliary, outputs.depth)
    model.eval()
    outputs = predict(model, image)
    bare = predict(model.without_heads(), image)
    assert outputs.auxiliary == bare.auxiliary == ()
    np.testing.assert_array_equal(outputs.depth, bare.depth)


@pytest.mark.parametrize("changes", [{"fusion": "add"}, {"last_layer": "block"}, {"kernel_size": 3, "expansion": 3.0}])
def test_decoder_variants(changes):
    outputs = predict(build_small(**changes), draw_image(1, 32, 32))
    assert outputs.depth.shape == (1, 32, 32, 1)
    assert outputs.features.shape[1:3] == (16, 16)
    assert np.isfinite(outputs.depth).all()


@pytest.mark.parametrize(
    "make",
    [
        partial(build_small, heads=2),
        partial(build_small, last_layer="block", fusion="add"),
        partial(build_small, decoder=NNConv5Decoder),
        partial(build_small, decoder=ReDWebDecoder),
    ],
    ids=lambda make: "-".join(str(getattr(value, "__name__", value)) for value in make.keywords.values()),
)
def test_every_parameter_receives_a_gradient(make):
    model = make()
    graph, params, stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    image = draw_image(2, 64, 64)

    @jax.jit
    @jax.grad
    def gradient(params):
        outputs = nnx.merge(graph, params, stats, copy=True)(image)
        weights = jnp.cos(jnp.arange(outputs.depth.size, dtype=jnp.float32)).reshape(outputs.depth.shape)
        return sum((prediction * weights).sum() for prediction in (outputs.depth, *outputs.auxiliary))

    gradients = gradient(params)
    if isinstance(model.decoder, ReDWebDecoder):  # the published network has a bias before a normalization
        del gradients["decoder"]["smooth"]["conv"]["bias"]
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 0, path


@pytest.mark.parametrize("size", [(33, 50), (1, 1), (31, 64)])
def test_any_size_is_padded_by_its_edge_and_cropped(size):
    model = build_small(heads=1)
    model.eval()
    image = draw_image(1, *size)
    pads = [(0, 0), *((0, -length % 32) for length in size), (0, 0)]
    outputs = predict(model, image)
    whole = predict(model, jnp.pad(image, pads, mode="edge"))
    height, width = size
    assert outputs.features.shape == (1, -(-height // 2), -(-width // 2), 8)
    np.testing.assert_array_equal(outputs.depth, whole.depth[:, :height, :width])


def test_bfloat16_keeps_statistics_and_predictions_in_float32():
    image = draw_image(2, 32, 64)
    low, full = build_small(dtype=jnp.bfloat16, heads=1), build_small(heads=1)
    outputs, reference = predict(low, image), predict(full, image)
    assert outputs.depth.dtype == outputs.auxiliary[0].dtype == jnp.float32
    assert outputs.features.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(low))} == {jnp.dtype(jnp.float32)}
    assert np.corrcoef(outputs.depth.ravel(), reference.depth.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("preprocessing", ["tensorflow", "torchvision"])
def test_image_is_scaled_inside(preprocessing):
    model = build_small(preprocessing=preprocessing)
    model.eval()
    image = draw_image(1, 32, 32)
    scaled = np.asarray(image, np.float32)
    if preprocessing == "tensorflow":
        scaled = scaled / 127.5 - 1
    else:
        scaled = (scaled / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    by_hand = nnx.jit(lambda model, x: model.decoder(model.encoder(x)))(model, jnp.asarray(scaled))
    np.testing.assert_allclose(predict(model, image).depth, by_hand.depth, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(predict(model, image.astype(jnp.float32)).depth, predict(model, image).depth)


def test_preprocessing_is_scaling_and_padding():
    """Named after the two projects that scale and pad so, and after both where weights have it mixed."""
    scalings = {name: PREPROCESSING[name][:2] for name in PREPROCESSING}
    assert scalings["tensorflow"] == scalings["tensorflow_symmetric"] != scalings["torchvision"]
    assert scalings["torchvision"] == scalings["torchvision_same"]
    paddings = {
        name: nnx.eval_shape(partial(build, width=0.25, preprocessing=name)).encoder.stem.conv.padding
        for name in PREPROCESSING
    }
    assert {name for name, padding in paddings.items() if padding == "SAME"} == {"tensorflow", "torchvision_same"}


def test_train_and_eval_differ_only_in_batch_statistics():
    model, image = build_small(), draw_image(2, 32, 64)
    before = nnx.state(model, nnx.Param)
    for _ in range(2):
        trained = predict(model, image)
    model.eval()
    stats = nnx.clone(nnx.state(model, nnx.BatchStat))
    evaluated = predict(model, image)
    assert not np.allclose(trained.depth, evaluated.depth)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), stats, nnx.state(model, nnx.BatchStat))
    assert all(jax.tree.leaves(same))
    assert jax.tree.leaves(before)[0] is jax.tree.leaves(nnx.state(model, nnx.Param))[0]

    for _, layer in nnx.iter_modules(model):
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    model.train()
    trained = predict(model, image)
    model.eval()
    np.testing.assert_allclose(trained.depth, predict(model, image).depth, rtol=1e-3, atol=1e-3)


def test_output_bias_starts_every_prediction():
    plain, shifted = (predict(build_small(heads=1, output_bias=bias), draw_image(1, 32, 32)) for bias in (0.0, 2.5))
    np.testing.assert_allclose(shifted.depth, plain.depth + 2.5, atol=1e-5)
    np.testing.assert_allclose(shifted.auxiliary[0], plain.auxiliary[0] + 2.5, atol=1e-5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder", "resnet"),
        ("decoder", "unet"),
        ("heads", 3),
        ("fusion", "mul"),
        ("kernel", 4),
        ("dtype", "int8"),
        ("last_layer", ""),
        ("preprocessing", "caffe"),
        ("width", 0.0),
        ("expansion", -1.0),
        ("norm_epsilon", 0.0),
    ],
)
def test_unknown_choice_names_its_key(key, value):
    with pytest.raises(UserError, match=rf"^`config\.model\.{key}` is .*{value}"):
        build(**{key: value})


def test_a_field_that_the_network_cannot_follow_is_refused():
    with pytest.raises(
        UserError, match=r"^`config\.model\.heads` is 2; the decoder nnconv5 has none: set `config\.model\.heads=0`"
    ):
        build(decoder="nnconv5", heads=2)
    with pytest.raises(UserError, match=r"^`config\.model\.width` is 0\.75; ShuffleNetV2 has the widths 0\.5, 1\.0"):
        build(encoder="shufflenet_v2", width=0.75)


def test_epsilon_is_the_encoders():
    model = nnx.eval_shape(lambda: build(width=0.25, norm_epsilon=1e-3))
    parts = {"encoder": model.encoder, "decoder": model.decoder}
    epsilons = {
        name: {layer.epsilon for _, layer in nnx.iter_modules(part) if isinstance(layer, BatchNorm)}
        for name, part in parts.items()
    }
    assert epsilons == {"encoder": {1e-3}, "decoder": {1e-5}}


@pytest.mark.parametrize("decoder", [NNConv5Decoder, ReDWebDecoder])
def test_decoders_without_heads(decoder):
    model, image = build_small(decoder=decoder), draw_image(1, 33, 40)
    outputs = predict(model, image)
    assert outputs.depth.shape == (1, 33, 40, 1)
    assert outputs.features.shape[1:3] == (17, 20)
    assert outputs.auxiliary == ()
    model.eval()
    np.testing.assert_array_equal(predict(model, image).depth, predict(model.without_heads(), image).depth)


@pytest.mark.parametrize("name", ["nnconv5", "redweb"])
def test_fields_of_fbnet_do_not_change_other_decoders(name):
    models = [
        nnx.eval_shape(partial(build, width=0.25, decoder=name, **changes))
        for changes in ({}, {"fusion": "add", "last_layer": "block", "expansion": 3.0})
    ]
    first, second = (jax.tree.map(jnp.shape, nnx.state(model)) for model in models)
    assert first == second
