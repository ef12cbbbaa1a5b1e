import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mdepth_jax.losses import distillation, pairwise_loss

value_and_grad = jax.jit(jax.value_and_grad(pairwise_loss), static_argnames="pool_scale")


def random_features(batch=2, height=8, width=10, channels=5, teacher_channels=7):
    rng = np.random.default_rng(0)
    student = rng.normal(size=(batch, height, width, channels)).astype(np.float32)
    return student, rng.normal(size=(batch, height, width, teacher_channels)).astype(np.float32)


def loop_loss(student, teacher, pool_scale):
    """The definition, node by node, in double precision."""
    window = [max(1, int(size * pool_scale)) for size in teacher.shape[1:3]]

    def unit_nodes(features):
        rows, columns = (range(0, size, step) for size, step in zip(features.shape[:2], window, strict=True))
        nodes = [
            features[y : y + window[0], x : x + window[1]].max((0, 1)).astype(float) for y in rows for x in columns
        ]
        return [node / (np.sqrt(np.sum(node**2)) + 1e-8) for node in nodes]

    losses = []
    for student_nodes, teacher_nodes in zip(map(unit_nodes, student), map(unit_nodes, teacher), strict=True):
        n = len(student_nodes)
        losses += [
            sum(
                (teacher_nodes[i] @ teacher_nodes[j] - student_nodes[i] @ student_nodes[j]) ** 2
                for i in range(n)
                for j in range(n)
            )
            / n**2
        ]
    return np.mean(losses)


def unit_nodes(seed, nodes, channels, offset=0.0):
    features = offset + np.random.default_rng(seed).normal(size=(2, nodes, 1, channels))
    return distillation._unit_nodes(jnp.asarray(features, jnp.float32))


@pytest.mark.parametrize("number", range(9))
def test_golden(golden, number):
    case = golden("pairwise")[number]
    student, teacher = (jnp.asarray(np.moveaxis(case[key], 1, -1)) for key in ("feat_S", "feat_T"))
    loss, gradient = value_and_grad(student, teacher, pool_scale=float(case["scale"]))
    np.testing.assert_allclose(loss, case["loss"], rtol=2e-5)
    np.testing.assert_allclose(np.moveaxis(gradient, -1, 1), case["grad_S"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 6, 8])
def test_golden_similarities(golden, number):
    case = golden("pairwise")[number]
    teacher = jnp.asarray(np.moveaxis(case["feat_T"], 1, -1))
    pooled = distillation._max_pool(teacher, tuple(case["patch_hw"].tolist()))
    np.testing.assert_array_equal(np.moveaxis(pooled, -1, 1), case["pooled_T"])
    similarities = distillation._products(distillation._unit_nodes(pooled))
    np.testing.assert_allclose(similarities, case["sim_T"], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("pool_scale", [0.5, 0.3, 0.0])
def test_matches_a_loop(pool_scale):
    student, teacher = random_features(height=5, width=7)
    loss, _ = value_and_grad(student, teacher, pool_scale=pool_scale)
    np.testing.assert_allclose(loss, loop_loss(student, teacher, pool_scale), rtol=2e-5)


@pytest.mark.parametrize(("nodes", "channels", "teacher_channels"), [(6, 32, 48), (300, 8, 12), (64, 16, 16)])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_both_forms_agree(nodes, channels, teacher_channels, offset):
    student, teacher = unit_nodes(0, nodes, channels, offset=offset), unit_nodes(1, nodes, teacher_channels)
    direct, gram = (
        jax.jit(jax.value_and_grad(lambda s, t, form=form: form(s, t).mean()))(student, teacher)
        for form in (distillation._direct_distance, distillation._gram_distance)
    )
    np.testing.assert_allclose(gram[0], direct[0], rtol=1e-5)
    np.testing.assert_allclose(gram[1], direct[1], atol=1e-5 * np.abs(direct[1]).max())


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3])
def test_gram_form_is_not_negative_for_close_features(scale):
    student = unit_nodes(0, 600, 8, offset=1.0)
    teacher = student + scale * unit_nodes(1, 600, 8)
    gram = distillation._gram_distance(student, teacher)
    assert (gram >= 0).all()
    np.testing.assert_allclose(gram, distillation._direct_distance(student, teacher), atol=1e-6)


def test_ties_go_to_the_first_maximum():
    features = jnp.zeros((1, 4, 4, 1)).at[0, 1, 0].set(2).at[0, 0, 3].set(2).at[0, 2, 2].set(2)
    gradient = jax.grad(lambda x: distillation._max_pool(x, (3, 4)).sum())(features)
    np.testing.assert_array_equal(np.argwhere(gradient[0, ..., 0]), [[0, 3], [3, 0]])


@pytest.mark.parametrize("zeros", ["student", "teacher", "both"])
@pytest.mark.parametrize("pool_scale", [0.5, 0.0])
def test_zero_features(zeros, pool_scale):
    student, teacher = map(jnp.asarray, random_features())
    student = student if zeros == "teacher" else jnp.zeros_like(student)
    teacher = teacher if zeros == "student" else jnp.zeros_like(teacher)
    loss, gradient = value_and_grad(student, teacher, pool_scale=pool_scale)
    assert jnp.isfinite(loss)
    assert jnp.isfinite(gradient).all()
    assert zeros == "teacher" or not gradient.any()


def test_one_pixel_has_similarity_one():
    student, teacher = jnp.full((1, 1, 1, 3), 2.0), jnp.full((1, 1, 1, 4), -1.0)
    np.testing.assert_allclose(pairwise_loss(student, teacher), 0, atol=1e-12)


def test_no_gradient_to_the_teacher():
    gradient = jax.grad(pairwise_loss, argnums=1)(*map(jnp.asarray, random_features()))
    assert not gradient.any()


def test_bfloat16_features_give_a_float32_loss():
    student, teacher = (jnp.asarray(features, jnp.bfloat16) for features in random_features())
    loss, gradient = value_and_grad(student, teacher)
    assert loss.dtype == jnp.float32
    assert gradient.dtype == jnp.bfloat16
    expected = loop_loss(np.asarray(student, np.float32), np.asarray(teacher, np.float32), 0.5)
    np.testing.assert_allclose(loss, expected, rtol=2e-5)


@pytest.mark.parametrize("pool_scale", [-0.1, 1.5])
def test_rejects_a_scale_out_of_range(pool_scale):
    with pytest.raises(ValueError, match="`pool_scale` must be in the range"):
        pairwise_loss(*map(jnp.asarray, random_features()), pool_scale=pool_scale)


def test_rejects_maps_of_other_nodes():
    student, teacher = map(jnp.asarray, random_features())
    with pytest.raises(ValueError, match="pooled maps must be of one size"):
        pairwise_loss(student[:, :4], teacher)


def largest_array(jaxpr: Jaxpr) -> int:
    sizes = [variable.aval.size for equation in jaxpr.eqns for variable in equation.outvars]
    inner = [value for equation in jaxpr.eqns for value in equation.params.values()]
    sizes += [largest_array(value.jaxpr) for value in inner if isinstance(value, ClosedJaxpr)]
    sizes += [largest_array(value) for value in inner if isinstance(value, Jaxpr)]
    return max(sizes, default=0)


def test_full_resolution_stays_within_the_memory_of_the_features():
    student = jax.ShapeDtypeStruct((1, 112, 224, 32), jnp.float32)
    teacher = jax.ShapeDtypeStruct((1, 112, 224, 24), jnp.float32)
    jaxpr = jax.make_jaxpr(lambda s, t: value_and_grad(s, t, pool_scale=0.0))(student, teacher)
    assert largest_array(jaxpr.jaxpr) == student.size
    memory = value_and_grad.lower(student, teacher, pool_scale=0.0).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * 4 * (student.size + teacher.size)


@pytest.mark.parametrize("pool_scale", [0.5, 0.0], ids=["direct", "gram"])
def test_two_devices_give_the_result_of_one(pool_scale):
    features = random_features()
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(features, NamedSharding(mesh, PartitionSpec("data")))
    one_device, two_devices = (value_and_grad(*f, pool_scale=pool_scale) for f in (features, sharded))
    for one, two in zip(one_device, two_devices, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-9)
