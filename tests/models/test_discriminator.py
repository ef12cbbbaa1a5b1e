import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import hinge_discriminator_loss, hinge_generator_loss
from mdepth_jax.models import Discriminator, SpectralVector
from mdepth_jax.models.discriminator import SelfAttention, SpectralConv

SIZE = 32


@nnx.jit
def apply(layer, *arguments):
    return layer(*arguments)


def build(width=4):
    return Discriminator(width, rngs=nnx.Rngs(0))


def draw(batch=4):
    """Images and smooth depth maps."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (batch, SIZE, SIZE, 3), dtype=np.uint8)
    rows = np.linspace(0, 3, SIZE, dtype=np.float32)[None, :, None, None]
    return jnp.asarray(image), jnp.asarray(rows * rng.uniform(0.5, 2, (batch, 1, SIZE, 1)).astype(np.float32))


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def hwio(array):
    return jnp.asarray(array.transpose(2, 3, 1, 0))


def golden_conv(case):
    layer = SpectralConv(3, 8, rngs=nnx.Rngs(0))
    layer.kernel[...], layer.bias[...], layer.u[...] = hwio(case["w_bar"]), case["bias"], case["u0"]
    return layer


def test_golden_spectral_normalization(golden):
    case = golden("discriminator")[2]
    layer = golden_conv(case)
    for y, u in zip(case["y"], case["u"], strict=True):
        np.testing.assert_allclose(apply(layer, nhwc(case["x"])), nhwc(y), rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(layer.u[...], u, rtol=2e-5, atol=1e-6)


def test_golden_attention(golden):
    case = golden("discriminator")[3]
    layer = SelfAttention(16, rngs=nnx.Rngs(0))
    for name in ("query", "key", "value"):
        conv = getattr(layer, name)
        conv.kernel[...], conv.bias[...] = hwio(case[f"{name}_conv_weight"]), case[f"{name}_conv_bias"]
    layer.gamma[...] = case["gamma"][0]
    np.testing.assert_allclose(apply(layer, nhwc(case["x"])), nhwc(case["y"]), rtol=2e-5, atol=1e-6)


def test_attention_starts_as_the_identity():
    x = jnp.ones((1, 2, 3, 8))
    np.testing.assert_array_equal(SelfAttention(8, rngs=nnx.Rngs(0))(x), x)


def test_golden_parameter_count(golden):
    """The original's less two of its batch normalization and of its larger last kernel, more for an RGB image."""
    state = nnx.eval_shape(lambda: nnx.state(build(64), nnx.Param))
    count = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert count == golden("discriminator")[4]["n_trainable"] - 2 - 512 * (16 - 9) + 3 * 64 * 16


def test_evaluation_leaves_the_vector(golden):
    case = golden("discriminator")[2]
    layer = golden_conv(case)
    layer.eval()
    first, second = (apply(layer, nhwc(case["x"])) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(layer.u[...], case["u0"])


def test_calls_converge_to_the_largest_singular_value():
    layer, x = SpectralConv(3, 8, rngs=nnx.Rngs(0)), jnp.zeros((1, 8, 8, 3))
    layer.kernel[...] = layer.kernel[...] + 0.2  # Sets the largest apart.
    for _ in range(30):
        apply(layer, x)
    matrix = layer.kernel[...].reshape(-1, 8)
    largest = np.linalg.svd(np.asarray(matrix), compute_uv=False)[0]
    np.testing.assert_allclose(jnp.linalg.norm(matrix @ layer.u[...]), largest, rtol=1e-5)


def test_gradient_of_the_normalized_kernel(x64):
    """With u fixed the derivative of the singular value is the same whether or not v moves with the kernel."""
    layer = SpectralConv(2, 3, rngs=nnx.Rngs(0))
    layer.eval()
    graph, rest = nnx.split(layer)
    kernel, direction, x = (
        jnp.asarray(np.random.default_rng(seed).normal(size=shape))
        for seed, shape in enumerate([layer.kernel.shape, layer.kernel.shape, (1, 4, 4, 2)])
    )

    @jax.jit
    def loss(kernel):
        model = nnx.merge(graph, jax.tree.map(lambda leaf: leaf.astype(float), rest))
        model.kernel[...] = kernel
        return jnp.sum(jnp.sin(model(x)))

    slope = (loss(kernel + 1e-6 * direction) - loss(kernel - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(jnp.sum(jax.grad(loss)(kernel) * direction), slope, rtol=1e-6)


def test_the_unit_of_depth_does_not_show():
    model, (image, depth) = build(), draw()
    model.eval()
    scores = apply(model, image, depth)
    assert scores.shape == (4, 2, 2, 1)
    np.testing.assert_allclose(apply(model, image, 100 * depth - 7), scores, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(apply(model, image.astype(jnp.float32), depth), scores)
    assert jnp.abs(apply(model, image, depth[:, ::-1]) - scores).max() > 1e-2


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4], ids=["flat", "nearly flat", "steep"])
def test_depth_gets_a_finite_gradient(scale):
    model, (image, depth) = build(), draw()
    model.eval()
    loss = nnx.jit(nnx.value_and_grad(lambda model, depth: hinge_generator_loss(model(image, depth)), argnums=1))
    value, gradient = loss(model, 3 + scale * depth)
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()
    assert gradient.any()


@pytest.mark.parametrize("size", [(16, 16), (33, 47)])
def test_any_size(size):
    model = build()
    model.eval()
    shape = jax.eval_shape(model, jnp.zeros((1, *size, 3), jnp.uint8), jnp.zeros((1, *size, 1)))
    assert shape.shape == (1, size[0] // 16, size[1] // 16, 1)


def test_rejects_small_images():
    with pytest.raises(ValueError, match="at least 16 pixels"):
        build()(jnp.zeros((1, 15, 32, 3), jnp.uint8), jnp.zeros((1, 15, 32, 1)))


def test_learns_to_distinguish_depth_maps():
    """As in a training step: parameters and singular vectors are arrays that the step takes and returns."""
    graph, params, vectors = nnx.split(build(), nnx.Param, SpectralVector)
    assert len(jax.tree.leaves(vectors)) == 4
    optimizer = optax.sgd(0.02)
    image, depth = draw()

    @jax.jit
    def step(params, vectors, state):
        def loss(params):
            model = nnx.merge(graph, params, vectors, copy=True)
            value = hinge_discriminator_loss(model(image, depth), model(image, depth[:, ::-1]))
            return value, nnx.state(model, SpectralVector)

        (value, moved), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), moved, state, value

    state, values, before = optimizer.init(params), [], (params, vectors)
    for _ in range(30):
        params, vectors, state, value = step(params, vectors, state)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
    moved = jax.tree.map(lambda one, other: bool((one != other).any()), before, (params, vectors))
    still = [jax.tree_util.keystr(path) for path, value in jax.tree_util.tree_leaves_with_path(moved) if not value]
    assert not still


def test_two_devices_give_the_result_of_one():
    model, pair = build(), draw()
    model.eval()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    graph, variables = nnx.split(model)
    score = jax.jit(lambda variables, image, depth: nnx.merge(graph, variables)(image, depth))
    one = score(variables, *pair)
    replicated = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
    two = score(replicated, *jax.device_put(pair, NamedSharding(mesh, PartitionSpec("data"))))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
