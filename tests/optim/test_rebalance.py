import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mdepth_jax.optim import RebalanceState, easy_to_hard, hard_to_easy, rebalance


def run(transform, losses):
    """Feeds the rows of `losses` (a dict of vectors) one after the other; returns all states, stacked."""

    def step(state, losses):
        _, state = transform.update(None, state, losses=losses)
        return state, state

    return jax.jit(lambda losses: jax.lax.scan(step, transform.init(None), losses)[1])(losses)


def two_losses(steps=12):
    a, b = np.random.default_rng(0).uniform(0.5, 2, (2, steps)).astype(np.float32)
    return {"a": a, "b": b}


def loop_weights(losses, weights, steps_per_epoch, events_per_epoch, strength):
    """The definition in plain Python; returns the weights after every step."""
    events = {int(np.ceil((k + 1) * steps_per_epoch / events_per_epoch)) - 1 for k in range(events_per_epoch)}
    previous, window, history = None, [], []
    for step, row in enumerate(np.stack(list(losses.values()), axis=1).astype(np.float64)):
        window.append(row)
        if step % steps_per_epoch in events:
            mean, window = np.mean(window, axis=0), []
            if previous is not None:
                quotient = np.sum(weights * mean) / previous[0] * previous[1] / mean
                weights = weights * np.clip(1 + strength(step // steps_per_epoch) * (quotient - 1), 0.5, 2)
            previous = np.sum(weights * mean), mean
        history.append(weights)
    return np.array(history)


@pytest.mark.parametrize("number", range(8))
def test_golden(golden, x64, number):
    case = golden("rebalancing")[number]
    epochs, steps_per_epoch, terms = len(case["scores"]), int(case["iters_per_epoch"]), len(case["w0"])
    names = [f"loss_{index}" for index in range(terms)]
    strengths = jnp.asarray(case["lam_per_epoch"])
    transform = rebalance(
        dict(zip(names, case["w0"].tolist(), strict=True)),
        steps_per_epoch=steps_per_epoch,
        events_per_epoch=int(case["updates_per_epoch"]),
        strength=lambda epoch: strengths[epoch],
        weight_initialization=bool(case["weight_initialization"]),
        initial_scale=dict(zip(names, case["init_scale"].tolist(), strict=True)),
    )
    scores = case["scores"].reshape(epochs * steps_per_epoch, -1, terms).mean(1)
    states = run(transform, dict(zip(names, scores.T, strict=True)))

    epoch, step = case["event_epoch_iter"].T
    events = epoch * steps_per_epoch + step
    weights, means = (
        np.stack([values[name] for name in names], 1) for values in (states.weights, states.previous_losses)
    )
    np.testing.assert_allclose(weights[events], case["weights_after"], rtol=1e-10)
    np.testing.assert_allclose(means[events], case["mean_losses"], rtol=1e-10)
    np.testing.assert_array_equal(np.flatnonzero(states.window_count == 0), events)


def test_golden_schedules(golden):
    cases = golden("rebalancing")
    for case, schedule in (
        (cases[0], hard_to_easy()),
        (cases[1], easy_to_hard()),
        (cases[3], easy_to_hard()),
    ):
        epochs = range(len(case["lam_per_epoch"]))
        np.testing.assert_array_equal([float(schedule(epoch)) for epoch in epochs], case["lam_per_epoch"])


def test_schedules_end_where_the_training_ends():
    assert [float(hard_to_easy(3)(epoch)) for epoch in range(5)] == [-3, 0, 3, 3, 3]
    assert [float(easy_to_hard(2)(epoch)) for epoch in range(3)] == [3, -3, -3]
    assert hard_to_easy(1)(0) == -3
    with pytest.raises(ValueError, match="`epochs` must be positive, got 0"):
        hard_to_easy(0)


@pytest.mark.parametrize(("steps_per_epoch", "events_per_epoch"), [(6, 3), (7, 3), (5, 5), (3, 7), (1, 1), (4, 1)])
def test_matches_a_loop(steps_per_epoch, events_per_epoch):
    losses, weights = two_losses(), {"a": 0.25, "b": 0.75}
    settings = {
        "steps_per_epoch": steps_per_epoch,
        "events_per_epoch": events_per_epoch,
        "strength": hard_to_easy(3),
    }
    states = run(rebalance(weights, **settings), losses)
    expected = loop_weights(losses, np.array([0.25, 0.75]), **settings)
    np.testing.assert_allclose(np.stack([states.weights["a"], states.weights["b"]], 1), expected, rtol=1e-5)


def test_five_events_in_an_epoch_by_default():
    """As in the paper's Section 4.3.1; without a strength nothing but the window shows them."""
    states = run(rebalance({"a": 0.5, "b": 0.5}, steps_per_epoch=20, strength=0.0), two_losses(20))
    np.testing.assert_array_equal(np.flatnonzero(states.window_count == 0), [3, 7, 11, 15, 19])


def test_updates_pass_through_a_chain():
    balancer = rebalance({"a": 1.0}, steps_per_epoch=2, strength=1.0)
    optimizer = optax.chain(balancer, optax.sgd(0.5))
    params = {"w": jnp.array([1.0, 2.0])}
    gradients = {"w": jnp.array([4.0, jnp.nan])}
    updates, state = optimizer.update(gradients, optimizer.init(params), params, losses={"a": jnp.float32(3)})
    np.testing.assert_array_equal(updates["w"], [-2.0, np.nan])
    assert isinstance(state[0], RebalanceState)
    assert balancer.update(gradients, state[0], params, losses={"a": 1.0}, value=2.0)[0] is gradients


def test_positive_strength_raises_the_loss_that_falls_faster():
    losses = {"fast": jnp.array([1.0, 0.5]), "slow": jnp.array([1.0, 0.9])}
    for strength in (-1.0, 1.0):
        transform = rebalance({"fast": 0.5, "slow": 0.5}, steps_per_epoch=1, events_per_epoch=1, strength=strength)
        weights = run(transform, losses).weights
        assert strength * (weights["fast"][-1] - 0.5) > 0
        assert strength * (weights["slow"][-1] - 0.5) < 0


def test_strength_zero_keeps_the_weights_to_the_last_bit():
    given = {"a": 1 / 3, "b": 0.1}
    losses = two_losses() | {"a": np.array([0, 0, 1, 1e-30, 1e30, 0, np.nan, np.inf, 1, 2, 0, 0], np.float32)}
    weights = run(rebalance(given, steps_per_epoch=3, events_per_epoch=3, strength=0.0), losses).weights
    for name, weight in given.items():
        np.testing.assert_array_equal(weights[name], np.float32(weight))


@pytest.mark.parametrize("strength", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("weight_initialization", [False, True])
def test_weights_stay_finite(strength, weight_initialization):
    transform = rebalance(
        {"a": 0.5, "b": 0.5},
        steps_per_epoch=4,
        events_per_epoch=2,
        strength=strength,
        weight_initialization=weight_initialization,
    )
    values = np.array([0, np.nan, np.inf, 1e-40, 1e38], np.float32)
    times = np.array([[0 <= s < 3, s == 5, 4 <= s < 8, True] for s in range(12)]).T
    losses = two_losses()
    a = np.where(times[None], values[:, None, None], losses["a"]).reshape(-1, 12)
    weights = jax.vmap(lambda a: run(transform, {"a": a, "b": losses["b"]}).weights)(a)
    assert weights["a"].shape == (20, 12)
    assert all(np.isfinite(weight).all() for weight in weights.values())


def test_a_step_that_is_not_finite_is_left_out():
    transform = rebalance({"a": 0.5, "b": 0.5}, steps_per_epoch=3, events_per_epoch=1, strength=1.0)
    losses = two_losses(6)
    states = run(transform, {**losses, "a": np.where(np.arange(6) == 4, np.nan, losses["a"])})
    for name, loss in losses.items():
        np.testing.assert_allclose(states.previous_losses[name][-1], loss[[3, 5]].mean(), rtol=1e-6)


def test_an_event_without_a_finite_step_is_skipped():
    transform = rebalance({"a": 0.5, "b": 0.5}, steps_per_epoch=1, events_per_epoch=1, strength=1.0)
    losses = two_losses(3)
    losses["a"][1] = np.inf
    states = run(transform, losses)
    before, skipped = (jax.tree.map(lambda x, i=i: x[i], states) for i in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, skipped, before._replace(step=jnp.int32(2)))
    assert states.weights["a"][2] != states.weights["a"][1]


def test_a_loss_that_vanishes_counts_as_the_fastest():
    losses = {"a": jnp.array([1.0, 0.0]), "b": jnp.array([1.0, 1.0])}
    for strength, factor in ((-1.0, 0.5), (1.0, 2.0)):
        transform = rebalance({"a": 0.5, "b": 0.5}, steps_per_epoch=1, events_per_epoch=1, strength=strength)
        assert run(transform, losses).weights["a"][-1] == 0.5 * factor


def test_initialization_levels_the_losses():
    losses = {"a": jnp.array([4.0]), "b": jnp.array([0.5]), "off": jnp.array([7.0])}
    settings = {"steps_per_epoch": 1, "strength": 0.0, "weight_initialization": True}
    weights = run(rebalance({"a": 0.5, "b": 2.0, "off": 0.0}, **settings), losses).weights
    np.testing.assert_allclose([weights["a"][0] * 4, weights["b"][0] * 0.5, weights["off"][0]], [1, 1, 0], rtol=1e-6)
    scale = {"a": 0.25, "b": 0.5, "off": 0.25}
    weights = run(rebalance({"a": 0.5, "b": 2.0, "off": 0.0}, initial_scale=scale, **settings), losses).weights
    np.testing.assert_allclose([weights["a"][0] * 4, weights["b"][0] * 0.5], [0.75, 1.5], rtol=1e-6)


def test_state_keeps_its_types():
    transform = rebalance({"a": 1.0}, steps_per_epoch=2, strength=1.0)
    state = transform.init(None)
    _, moved = transform.update(None, state, losses={"a": jnp.bfloat16(1)})
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)  # noqa: E731
    assert describe(state) == describe(moved)
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype("int32"), jnp.dtype("float32")}


def test_rejects_missing_or_other_losses():
    transform = rebalance({"a": 0.5, "b": 0.5}, steps_per_epoch=4, strength=0.0)
    state = transform.init(None)
    with pytest.raises(TypeError, match=r"missing .* argument: 'losses'"):
        transform.update(None, state)
    with pytest.raises(ValueError, match=r"`losses` must name \['a', 'b'\], got \['a', 'c'\]"):
        transform.update(None, state, losses={"a": 1.0, "c": 1.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {}}, "at least one"),
        ({"weights": {"a": -1.0}}, "not negative"),
        ({"weights": {"a": float("nan")}}, "finite"),
        ({"weights": {"a": float("inf")}}, "finite"),
        ({"steps_per_epoch": 0}, "steps_per_epoch = 0"),
        ({"events_per_epoch": 0}, "events_per_epoch = 0"),
        ({"initial_scale": {"b": 1.0}}, r"must name the losses \['a'\], got \['b'\]"),
    ],
)
def test_rejects_bad_arguments(change, message):
    arguments = {"weights": {"a": 1.0}, "steps_per_epoch": 4, "strength": 0.0} | change
    with pytest.raises(ValueError, match=message):
        rebalance(**arguments)
