"""Loss rebalancing: weights of losses that follow how fast each loss falls.

Source: Lee and Kim, "Multi-loss rebalancing algorithm for monocular depth estimation", ECCV 2020.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class RebalanceState(NamedTuple):
    """State of `rebalance`; dicts hold one scalar for each loss, in JAX's default float type."""

    step: jax.Array  # shape=(), dtype=jnp.int32: steps done
    weights: dict[str, jax.Array]  # shape=() each: what the losses are to be multiplied with
    window_sums: dict[str, jax.Array]  # shape=() each: losses added up since the last event
    window_count: jax.Array  # shape=(), dtype=jnp.int32: steps added up since the last event
    previous_losses: dict[str, jax.Array]  # shape=() each: mean losses at the last event; 0 before the first
    previous_total: jax.Array  # shape=(): their sum with the weights after that event; 0 before the first


def hard_to_easy(epochs: int = 5, strength: float = 3.0) -> optax.Schedule:
    """Gives the paper's order, first the hard losses: from -strength linearly to strength in the last epoch.

    Args:
        epochs: Length of the training; 5 gives -3, -1.5, 0, 1.5, 3.
        strength: The largest.

    Returns:
        A schedule over epochs.

    Raises:
        ValueError: For less than one epoch.
    """
    return _linear_strength(-strength, strength, epochs)


def easy_to_hard(epochs: int = 5, strength: float = 3.0) -> optax.Schedule:
    """Gives the reverse of `hard_to_easy`; 5 epochs give the original code's max(3 - 1.5 * epoch, -3)."""
    return _linear_strength(strength, -strength, epochs)


def _linear_strength(start: float, end: float, epochs: int) -> optax.Schedule:
    if epochs < 1:
        raise ValueError(f"epochs must be positive, got {epochs}")
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
    """Moves the weights of several losses during training (Sec. 3.2 "Loss Rebalancing"; Lee and Kim 2020).

    The gradients pass through untouched. `update(gradients, state, params, losses={name: unweighted loss})`
    collects the losses, and a few times per epoch moves `state.weights`, which the training step multiplies
    the losses with. Fixed weights are the same with `strength=0.0`, which keeps them to the last bit.

    At an event L_i is the mean loss since the event before and T = sum_i w_i L_i. Every weight is multiplied
    with

        clip(1 + strength * (T / T_previous * L_previous_i / L_i - 1), 1/2, 2)

    so that a positive strength raises the losses that fall faster than the total (the easy ones), a negative
    strength the others. The weights are not normalized afterwards. The first event only records, or with
    `weight_initialization` sets w_i = T * initial_scale_i / L_i; a weight of 0 stays 0.

    Beyond the original the weights stay finite: a step with a loss that is NaN or infinite is left out of the
    mean, an event with no other step is skipped, and a weight stays where the formula gives NaN or infinity
    (from 0 / 0: a loss or a total that is 0 twice).

    Args:
        weights: Initial weights by the name of the loss, not negative.
        steps_per_epoch: Steps of one epoch.
        events_per_epoch: Number of events, equally spaced, the last one at the end of the epoch. With more
            events than steps there is one in every step.
        strength: The factor above: a constant, or a schedule over epochs (from 0) such as `hard_to_easy()`.
        weight_initialization: Whether the first event levels the losses; the paper leaves it off.
        initial_scale: Share of each loss in the total after that; equal shares if None.

    Returns:
        A transformation whose state is a `RebalanceState`.

    Raises:
        ValueError: For an argument out of range, or names that do not match; the latter also from `update`.
    """
    if not weights or not all(0 <= weight < math.inf for weight in weights.values()):
        raise ValueError(f"weights must be finite and not negative, at least one, got {dict(weights)}")
    if steps_per_epoch < 1 or events_per_epoch < 1:
        raise ValueError(
            "Both steps_per_epoch and events_per_epoch must be positive, got "
            f"steps_per_epoch = {steps_per_epoch} and events_per_epoch = {events_per_epoch}."
        )
    names = tuple(weights)
    scale = dict.fromkeys(names, 1 / len(names)) if initial_scale is None else initial_scale
    if scale.keys() != weights.keys():
        raise ValueError(f"initial_scale must name the losses {sorted(names)}, got {sorted(scale)}")

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
            raise ValueError(f"losses must name {sorted(names)}, got {sorted(losses)}")
        values = {name: jnp.asarray(losses[name], float) for name in names}
        epoch, step = jnp.divmod(state.step, steps_per_epoch)
        # The s-th step of an epoch is an event if s * events / steps reaches an integer in it.
        at_event = (step + 1) * events_per_epoch % steps_per_epoch < events_per_epoch
        lam = jnp.asarray(strength(epoch) if callable(strength) else strength, float)

        state = _collect(state, values)
        moved = _move(state, lam, scale if weight_initialization else None)
        is_event = at_event & (state.window_count > 0)
        return updates, jax.tree.map(lambda new, old: jnp.where(is_event, new, old), moved, state)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _collect(state: RebalanceState, losses: dict[str, jax.Array]) -> RebalanceState:
    """Adds one step to the window, unless a loss is not finite."""
    is_finite = jnp.all(jnp.isfinite(jnp.stack(list(losses.values()))))
    return state._replace(
        step=optax.safe_increment(state.step),
        window_sums={name: total + jnp.where(is_finite, losses[name], 0) for name, total in state.window_sums.items()},
        window_count=state.window_count + is_finite.astype(jnp.int32),
    )


def _move(state: RebalanceState, strength: jax.Array, initial_scale: Mapping[str, float] | None) -> RebalanceState:
    """Moves the weights by the window's mean losses, and starts a new window."""
    means = {name: total / state.window_count.astype(float) for name, total in state.window_sums.items()}
    total = _weighted_sum(state.weights, means)

    def move(name: str) -> jax.Array:
        weight, mean = state.weights[name], means[name]
        quotient = (total / state.previous_total) * (state.previous_losses[name] / mean)
        moved = weight * jnp.clip(1 + strength * (quotient - 1), 0.5, 2)
        if initial_scale is not None:
            level = jnp.where(weight > 0, total * jnp.asarray(initial_scale[name], float) / mean, 0)
            moved = jnp.where(state.previous_total == 0, level, moved)
        return jnp.where(jnp.isfinite(moved), moved, weight)  # At the first event the quotient is 0 / 0.

    weights = {name: move(name) for name in state.weights}
    return state._replace(
        weights=weights,
        window_sums=jax.tree.map(jnp.zeros_like, state.window_sums),
        window_count=jnp.zeros_like(state.window_count),
        previous_losses=means,
        previous_total=_weighted_sum(weights, means),
    )


def _weighted_sum(weights: dict[str, jax.Array], losses: dict[str, jax.Array]) -> jax.Array:
    return jnp.stack([weights[name] * losses[name] for name in weights]).sum()
