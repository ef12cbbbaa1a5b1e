import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdepth_jax.optim import mtadam

NAMES = ("a", "b", "c")


def run(transform, params, gradients):
    """Steps through `gradients`, trees by loss with a leading axis of steps; returns all parameters and the state."""

    def step(carry, loss_gradients):
        params, state = carry
        updates, state = transform.update(None, state, params, loss_gradients=loss_gradients)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    train = jax.jit(lambda params, gradients: jax.lax.scan(step, (params, transform.init(params)), gradients))
    (_, state), history = train(params, gradients)
    return history, state


def random_gradients(steps=5, losses=2):
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 4), "bias": (4,)}
    return {
        name: {key: rng.normal(size=(steps, *shape)).astype(np.float32) for key, shape in shapes.items()}
        for name in NAMES[:losses]
    }


def zero_params():
    return {"kernel": jnp.zeros((3, 4)), "bias": jnp.zeros(4)}


# Case 6 is AMSGrad, a variant that the paper does not use.
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 7])
def test_golden(golden, x64, number):
    case = golden("mtadam")[number]
    assert not case["amsgrad"]
    names = NAMES[: len(case["ranks"])]
    b1, b2, b3 = case["betas"].tolist()
    transform = mtadam(
        float(case["lr"]),
        names,
        b1=b1,
        b2=b2,
        b3=b3,
        eps=float(case["eps"]),
        weight_decay=float(case["weight_decay"]),
        ranks=dict(zip(names, case["ranks"].tolist(), strict=True)),
    )
    params = {f"{j}": jnp.asarray(case[f"p0_{j}"]) for j in range(3)}
    gradients = {
        name: {f"{j}": jnp.asarray(case[f"grads_{j}"][:, k]) for j in range(3)} for k, name in enumerate(names)
    }
    history, _ = run(transform, params, gradients)
    for j in range(3):
        np.testing.assert_allclose(history[f"{j}"], case[f"params_{j}"], rtol=1e-9)


def test_amsgrad_is_the_case_left_out(golden):
    assert [number for number, case in enumerate(golden("mtadam")) if case["amsgrad"]] == [6]


def test_one_loss_is_adam(optax_promotes):
    gradients = random_gradients(losses=1)
    history, _ = run(mtadam(1e-2, ["a"]), zero_params(), gradients)
    adam, params = optax.adam(1e-2), zero_params()
    state = adam.init(params)
    for step in range(5):
        updates, state = adam.update(jax.tree.map(lambda g, step=step: g[step], gradients["a"]), state)
        params = optax.apply_updates(params, updates)
        for key, param in params.items():
            np.testing.assert_allclose(history[key][step], param, rtol=1e-5, atol=1e-8)


def test_the_scale_of_a_loss_does_not_matter():
    gradients = random_gradients()
    scaled = gradients | {"b": jax.tree.map(lambda g: 1e4 * g, gradients["b"])}
    (expected, _), (found, _) = (run(mtadam(1e-2, NAMES[:2]), zero_params(), g) for g in (gradients, scaled))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), found, expected)


def test_the_running_norm_decays_by_0_9():
    gradients = random_gradients(steps=2)
    _, state = run(mtadam(1e-2, NAMES[:2]), zero_params(), gradients)
    for index, name in enumerate(NAMES[:2]):
        norms = [[np.linalg.norm(step) for step in gradients[name][key]] for key in ("bias", "kernel")]
        expected = [0.9 * first + 0.1 * second for first, second in norms]
        np.testing.assert_allclose(state.norms[index], expected, rtol=1e-6)


def test_follows_a_schedule():
    schedule = optax.linear_schedule(1e-2, 0.0, 2)
    history, state = run(mtadam(schedule, NAMES[:2]), zero_params(), random_gradients(steps=3))
    constant, _ = run(mtadam(1e-2, NAMES[:2]), zero_params(), random_gradients(steps=3))
    for key, params in history.items():
        found, expected = (np.diff(values, axis=0, prepend=0) for values in (params, constant[key]))
        np.testing.assert_allclose(found, expected * np.array([1, 0.5, 0]).reshape(-1, *[1] * (found.ndim - 1)), 1e-5)
    assert state.step == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30], ids=["nan", "infinite", "norm overflows"])
def test_a_loss_that_is_not_finite_sits_out(bad):
    """The other loss continues, and the state of the bad one is as if the step had not been."""
    gradients = random_gradients(steps=3)
    gradients["b"]["bias"][1, 2] = bad
    history, state = run(mtadam(1e-2, NAMES[:2]), zero_params(), gradients)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((history, state)))
    np.testing.assert_array_equal(state.counts, [3, 2])
    without = jax.tree.map(lambda g: np.delete(g, 1, axis=0), gradients)
    _, expected = run(mtadam(1e-2, NAMES[:2]), zero_params(), without)
    np.testing.assert_allclose(state.norms[1], expected.norms[1], rtol=1e-6)
    assert all((np.diff(values, axis=0) != 0).all() for values in history.values())


def test_a_loss_may_start_late():
    gradients = random_gradients(steps=3)
    gradients["a"]["kernel"][0] = np.nan
    history, state = run(mtadam(1e-2, NAMES[:2]), zero_params(), gradients)
    np.testing.assert_allclose(jnp.abs(history["bias"][0]), 1e-2, rtol=1e-4)
    np.testing.assert_array_equal(state.counts, [2, 3])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((history, state)))


def test_no_finite_loss_gives_no_step():
    gradients = jax.tree.map(lambda g: np.full_like(g, np.nan), random_gradients(steps=2))
    history, state = run(mtadam(1e-2, NAMES[:2], weight_decay=0.1), zero_params(), gradients)
    assert not any(leaf.any() for leaf in jax.tree.leaves((history, state.norms, state.mu, state.nu, state.counts)))


def test_losses_and_tensors_cost_the_compiler_little():
    """All losses are one array, so are all tensors: one more adds only its place, and for a tensor its norms."""

    def equations(losses, tensors):
        names = [f"loss_{index}" for index in range(losses)]
        transform, params = mtadam(1e-2, names), {f"{index}": jnp.zeros((3, 4)) for index in range(tensors)}
        update = lambda g: transform.update(None, transform.init(params), params, loss_gradients=g)  # noqa: E731
        return len(jax.make_jaxpr(update)(dict.fromkeys(names, params)).eqns)

    assert equations(40, 2) - equations(2, 2) <= 38 * 2 * 2
    assert equations(2, 40) - equations(2, 2) <= 38 * 20


def test_works_in_a_chain():
    optimizer = optax.chain(mtadam(0.5, ["a"]), optax.scale(2.0))
    params = {"w": jnp.array([1.0, -2.0])}
    updates, _ = optimizer.update(params, optimizer.init(params), params, loss_gradients={"a": params}, value=1.0)
    np.testing.assert_allclose(updates["w"], [-1, 1], rtol=1e-4)


def test_state_keeps_its_types():
    params = {"w": jnp.ones(2, jnp.bfloat16), "v": jnp.float32(1)}
    transform = mtadam(optax.constant_schedule(0.1), ["a"], weight_decay=0.1)
    updates, moved = transform.update(None, transform.init(params), params, loss_gradients={"a": params})
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)  # noqa: E731
    assert describe(moved) == describe(transform.init(params))
    assert describe(updates) == describe(params)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": ()}, "at least one"),
        ({"losses": ("a", "a")}, "different names"),
        ({"b1": 1.0}, "`b1`, `b2` and `b3` must be in the range"),
        ({"b3": -0.1}, "got 0.9, 0.999 and -0.1"),
        ({"ranks": {"b": 1.0}}, r"must name the losses \['a'\], got \['b'\]"),
    ],
)
def test_rejects_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        mtadam(**{"learning_rate": 0.1, "losses": ("a",)} | change)


def test_rejects_missing_or_other_gradients():
    transform, params = mtadam(0.1, ["a"], weight_decay=0.1), zero_params()
    state = transform.init(params)
    with pytest.raises(TypeError, match=r"missing .* argument: 'loss_gradients'"):
        transform.update(params, state, params)
    with pytest.raises(ValueError, match=r"must name \['a'\], got \['b'\]"):
        transform.update(params, state, params, loss_gradients={"b": params})
    with pytest.raises(ValueError, match="`weight_decay` needs the `params`"):
        transform.update(params, state, loss_gradients={"a": params})
