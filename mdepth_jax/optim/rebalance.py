"""Loss rebalancing: weights of several losses that follow how fast each loss falls."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class RebalanceState(NamedTuple):
    """State of `rebalance`; dictionaries hold one scalar for each loss, in JAX's default float type."""

    step: jax.Array  # shape=(), dtype=jnp.int32: steps so far
    weights: dict[str, jax.Array]  # shape=() each: current weights of the losses
    window_sums: dict[str, jax.Array]  # shape=() each: sums of the losses since the last event
    window_count: jax.Array  # shape=(), dtype=jnp.int32: number of steps in these sums
    previous_losses: dict[str, jax.Array]  # shape=() each: mean losses at the last event; 0 before the first
    previous_total: jax.Array  # shape=(): their sum with the weights after that event; 0 before the first


def hard_to_easy(epochs: int = 5, strength: float = 3.0) -> optax.Schedule:
    """Builds the paper's schedule of strengths, hard losses first (Sec. 3.3 and 4.3.1).

    It runs linearly from -strength in the first epoch to strength in the last one. The paper does not print its
    strengths; these mirror those of the original code.

    Args:
        epochs: Length of the training; 5 epochs give -3, -1.5, 0, 1.5, 3.
        strength: Largest strength.

    Returns:
        A schedule over epochs, from 0.

    Raises:
        ValueError: If `epochs` is less than 1.

    Example:
        >>> from mdepth_jax.optim import hard_to_easy
        >>> schedule = hard_to_easy(epochs=5)
        >>> [float(schedule(epoch)) for epoch in range(5)]
        [-3.0, -1.5, 0.0, 1.5, 3.0]
    """
    return _linear_strength(-strength, strength, epochs)


def easy_to_hard(epochs: int = 5, strength: float = 3.0) -> optax.Schedule:
    """Builds the reverse of `hard_to_easy`, easy losses first; 5 epochs give the original code's max(3 - 1.5 e, -3).

    Args:
        epochs: Length of the training.
        strength: Largest strength.

    Returns:
        A schedule over epochs, from 0.

    Raises:
        ValueError: If `epochs` is less than 1.

    Example:
        >>> from mdepth_jax.optim import easy_to_hard
        >>> schedule = easy_to_hard(epochs=5)
        >>> [float(schedule(epoch)) for epoch in range(5)]
        [3.0, 1.5, 0.0, -1.5, -3.0]
    """
    return _linear_strength(strength, -strength, epochs)


def _linear_strength(start: float, end: float, epochs: int) -> optax.Schedule:
    if epochs < 1:
        raise ValueError(f"`epochs` must be positive, got {epochs}")
    return optax.linear_schedule(start, end, max(epochs - 1, 1))


def rebalance(
    weights: Mapping[str, float],
    *,
    steps_per_epoch: int,
    events_per_epoch: int = 5,
    strength: float | optax.Schedule,
    weight_initialization: bool = False,
    initial_scale: Mapping[str, float] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Rebalances the weights of several losses during training (Sec. 3.3 and 4.3.1; Lee and Kim 2020).

    The gradients pass through unchanged. `update(gradients, state, params, losses={name: unweighted loss})` records the
    losses, and at a few events per epoch updates `state.weights`, by which the training step multiplies the losses.
    With `strength=0.0` the weights stay the same to the last bit.

    At an event, let `L_i` be the mean loss since the previous event, `T = sum_i w_i L_i` the total, and `L_i'` and `T'`
    those of the previous event, `T'` with the weights after it. Then

        w_i <- w_i clip(1 + strength (T / T' * L_i' / L_i - 1), 1/2, 2)

    so that a positive strength raises the losses that fall faster than the total (the easy ones), a negative strength
    the others (the hard ones). The weights are not normalized afterwards. The first event only records the losses, or
    with `weight_initialization` sets `w_i = T initial_scale_i / L_i`; a weight of 0 stays 0.

    Unlike in the original the weights stay finite: a step with a loss that is NaN or infinite is left out of the mean,
    an event with no other step is skipped, and a weight does not change where the formula gives NaN or infinity (from
    0 / 0: a loss or a total that is 0 twice).

    Args:
        weights: Initial weights by the name of the loss, finite and not negative.
        steps_per_epoch: Number of steps of one epoch.
        events_per_epoch: Number of events in an epoch, equally spaced, the last one at its end. With more events than
            steps every step has one.
        strength: The `strength` above: a constant, or a schedule over epochs (from 0) such as `hard_to_easy()`.
        weight_initialization: Whether the first event levels the losses; off in the paper.
        initial_scale: Share of each loss in the total after that; equal shares if None.

    Returns:
        A transformation whose state is a `RebalanceState`.

    Raises:
        ValueError: If an argument is out of range, or if names do not match; the latter also from `update`.

    Example:
        >>> import jax.numpy as jnp
        >>> from mdepth_jax.optim import rebalance
        >>> weights = {"ranking": 0.5, "pixelwise": 0.5}
        >>> balancer = rebalance(weights, steps_per_epoch=2, events_per_epoch=2, strength=1.0)
        >>> params = {"kernel": jnp.zeros(3)}
        >>> state = balancer.init(params)
        >>> for losses in ({"ranking": 2.0, "pixelwise": 2.0}, {"ranking": 1.0, "pixelwise": 2.0}):
        ...     gradients, state = balancer.update(params, state, params, losses=losses)
        >>> float(state.weights["ranking"]), float(state.weights["pixelwise"])  # ranking fell faster
        (0.75, 0.375)

    References:
        Lee and Kim, "Multi-Loss Rebalancing Algorithm for Monocular Depth Estimation", ECCV 2020. Code:
        jaehanlee-mcl/multi-loss-rebalancing-depth, `train.py`.
    """
    if not weights or not all(0 <= weight < math.inf for weight in weights.values()):
        raise ValueError(f"`weights` must be finite and not negative, at least one, got {dict(weights)}")
    if steps_per_epoch < 1 or events_per_epoch < 1:
        raise ValueError(
            "`steps_per_epoch` and `events_per_epoch` must be positive, got "
            f"steps_per_epoch = {steps_per_epoch} and events_per_epoch = {events_per_epoch}"
        )
    names = tuple(weights)
    scale = dict.fromkeys(names, 1 / len(names)) if initial_scale is None else initial_scale
    if scale.keys() != weights.keys():
        raise ValueError(f"`initial_scale` must name the losses {sorted(names)}, got {sorted(scale)}")

    def init_fn(params: optax.Params) -> RebalanceState:
        del params
        return RebalanceState(
            step=jnp.zeros((), jnp.int32),
            weights={name: jnp.asarray(weights[name], float) for name in names},
            window_sums={name: jnp.zeros((), float) for name in names},
            window_count=jnp.zeros((), jnp.int32),
            previous_losses={name: jnp.zeros((), float) for name in names},
            previous_total=jnp.zeros((), float),
        )

    def update_fn(
        updates: optax.Updates,
        state: RebalanceState,
        params: optax.Params | None = None,
        *,
        losses: Mapping[str, jax.typing.ArrayLike],
        **extra_args: object,
    ) -> tuple[optax.Updates, RebalanceState]:
        del params, extra_args
        if losses.keys() != weights.keys():
            raise ValueError(f"`losses` must name {sorted(names)}, got {sorted(losses)}")
        epoch, step = jnp.divmod(state.step, steps_per_epoch)
        # Step s of an epoch, from 1, is an event if s * events / steps reaches another integer with it.
        at_event = (step + 1) * events_per_epoch % steps_per_epoch < events_per_epoch
        current_strength = jnp.asarray(strength(epoch) if callable(strength) else strength, float)

        state = _record(state, {name: jnp.asarray(losses[name], float) for name in names})
        updated = _update_weights(state, current_strength, scale if weight_initialization else None)
        is_event = at_event & (state.window_count > 0)
        return updates, jax.tree.map(lambda new, old: jnp.where(is_event, new, old), updated, state)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _record(state: RebalanceState, losses: dict[str, jax.Array]) -> RebalanceState:
    """Adds the losses of one step to the window, unless one of them is not finite."""
    is_finite = jnp.all(jnp.isfinite(jnp.stack(list(losses.values()))))
    return state._replace(
        step=optax.safe_increment(state.step),
        window_sums={name: total + jnp.where(is_finite, losses[name], 0) for name, total in state.window_sums.items()},
        window_count=state.window_count + is_finite.astype(jnp.int32),
    )


def _update_weights(
    state: RebalanceState, strength: jax.Array, initial_scale: Mapping[str, float] | None
) -> RebalanceState:
    """Updates the weights from the mean losses of the window, and starts a new window."""
    means = {name: total / state.window_count.astype(float) for name, total in state.window_sums.items()}
    total = _weighted_sum(state.weights, means)

    def update(name: str) -> jax.Array:
        weight, mean = state.weights[name], means[name]
        ratio = (total / state.previous_total) * (state.previous_losses[name] / mean)
        updated = weight * jnp.clip(1 + strength * (ratio - 1), 0.5, 2)
        if initial_scale is not None:
            level = jnp.where(weight > 0, total * jnp.asarray(initial_scale[name], float) / mean, 0)
            updated = jnp.where(state.previous_total == 0, level, updated)
        return jnp.where(jnp.isfinite(updated), updated, weight)  # At the first event the ratio is 0 / 0.

    weights = {name: update(name) for name in state.weights}
    return state._replace(
        weights=weights,
        window_sums=jax.tree.map(jnp.zeros_like, state.window_sums),
        window_count=jnp.zeros_like(state.window_count),
        previous_losses=means,
        previous_total=_weighted_sum(weights, means),
    )


def _weighted_sum(weights: dict[str, jax.Array], losses: dict[str, jax.Array]) -> jax.Array:
    return jnp.stack([weights[name] * losses[name] for name in weights]).sum()
