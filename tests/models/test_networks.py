"""Properties of every encoder, and of every decoder after it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.models import DECODERS, ENCODERS
from mdepth_jax.models.layers import BatchNorm
from mdepth_jax.training.step import make_mesh, replicate, shard_batch

SHAPE = (2, 61, 50, 3)  # odd and even, and no multiples of 32: the deepest map has 2 x 2 pixels
WIDTHS = {"shufflenet_v2": 0.5, "resnet50": 1.0}  # the others are a quarter as wide
ALIKE = ("mobilenet_v2", "mnasnet", "efficientnet_b0", "mixnet_m")  # made of no other blocks than the others
every_encoder = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in ENCODERS]
)


def build_encoder(name, **options):
    """Without values."""
    return nnx.eval_shape(lambda: ENCODERS[name](WIDTHS.get(name, 0.25), rngs=nnx.Rngs(0), **options))


def build_decoder(name, widths):
    """Without values."""
    return nnx.eval_shape(lambda: DECODERS[name](widths, rngs=nnx.Rngs(0)))


def draw(path, variable):
    """An initial value; the kernels are He's."""
    if len(variable.shape) == 4:
        deviation = np.sqrt(2 / np.prod(variable.shape[:3]))
        return np.random.default_rng(len(path)).normal(0, deviation, variable.shape).astype(variable.dtype)
    return np.full(variable.shape, path[-1] in ("scale", "var"), variable.dtype)


def split_drawn(module):
    """Graph, parameters and batch statistics, with values."""
    module.set_attributes(implementation="lax")
    graph, *states = nnx.split(module, nnx.Param, nnx.BatchStat)
    return graph, *(nnx.map_state(lambda path, variable: variable.replace(draw(path, variable)), s) for s in states)


def draw_images():
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


@every_encoder
def test_features_are_finite_and_every_parameter_receives_a_gradient(name):
    graph, params, stats = split_drawn(build_encoder(name))

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params, stats, image):
        encoder = nnx.merge(graph, params, stats, copy=True)
        features = encoder(image.astype(jnp.float32) / 127.5 - 1)
        weights = [jnp.cos(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape) for x in features]
        total = sum((x * w).sum() for x, w in zip(features, weights, strict=True))
        return total, (features, nnx.state(encoder, nnx.BatchStat))

    gradients, (features, stats) = gradient(params, stats, draw_images())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((features, stats)))
    assert all(np.ptp(feature) > 0 for feature in features)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 0, path


@pytest.mark.parametrize("name", ["mobilenet_v3_large", pytest.param("shufflenet_v2", marks=pytest.mark.slow)])
def test_two_devices_are_as_one(name, x64):
    """In training mode, where the statistics are of all images together; in double precision, where sums are equal."""
    graph, *states = split_drawn(build_encoder(name, param_dtype=jnp.float64))

    @jax.jit
    def run(params, stats, image):
        encoder = nnx.merge(graph, params, stats, copy=True)
        features = encoder(image.astype(jnp.float64) / 127.5 - 1)
        return features, nnx.state(encoder, nnx.BatchStat)

    results = []
    for devices in (1, 2):
        mesh = make_mesh(jax.devices()[:devices])
        image = shard_batch({"image": draw_images()}, mesh)["image"]
        results.append(run(*(replicate(state, mesh) for state in states), image))
        assert len(results[-1][0][0].sharding.device_set) == devices
    for one, two in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


@every_encoder
def test_half_precision(name):
    """Features keep it, depth does not, whatever the decoder."""
    encoder = build_encoder(name)
    image = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.bfloat16)
    features = nnx.eval_shape(lambda encoder, image: encoder(image), encoder, image)
    for feature, width, stride in zip(features, encoder.widths, (2, 4, 8, 16, 32, 32), strict=True):
        assert (feature.shape, feature.dtype) == ((1, 64 // stride, 96 // stride, width), jnp.bfloat16)
    for kind in DECODERS:
        decoder = build_decoder(kind, encoder.widths)
        outputs = nnx.eval_shape(lambda decoder, features: decoder(features), decoder, features)
        assert (outputs.depth.shape, outputs.depth.dtype) == ((1, 64, 96, 1), jnp.float32)
        assert outputs.features.dtype == jnp.bfloat16


@pytest.mark.parametrize("name", [*ENCODERS, *DECODERS])
def test_training_and_evaluation_differ_by_batch_statistics(name):
    """And by the heads, which `test_depth_net` looks at."""
    part = build_encoder(name) if name in ENCODERS else build_decoder(name, (4, 6, 8, 10, 12, 24))
    training = nnx.graphdef(part)
    part.eval()
    assert nnx.graphdef(part) != training
    for _, layer in nnx.iter_modules(part):
        if isinstance(layer, BatchNorm):
            layer.use_running_average = False
    part.set_attributes(deterministic=False, raise_if_not_found=False)
    assert nnx.graphdef(part) == training
