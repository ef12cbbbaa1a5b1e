"""MTAdam: Adam for several losses, which balances the sizes of their gradients in every tensor.

Source: Malkiel and Wolf, "MTAdam: Automatic balancing of multiple training loss terms", EMNLP 2021.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

_SMALLEST_NORM = 1e-10  # The original's: a gradient below counts as none.


class MTAdamState(NamedTuple):
    """State of `mtadam`; the trees have the structure of the parameters and their float types."""

    step: jax.Array  # shape=(), dtype=jnp.int32: steps done
    counts: jax.Array  # shape=(losses,), dtype=jnp.int32: steps in which the gradient of a loss was finite
    norms: Any  # shape=(losses,) each: running norms of the gradients
    mu: Any  # shape=(losses, *parameter): first moments
    nu: Any  # shape=(losses, *parameter): second moments


def mtadam(
    learning_rate: optax.ScalarOrSchedule,
    losses: Sequence[str],
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    b3: float = 0.9,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    ranks: Mapping[str, float] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Balances several losses by the norms of their gradients (Sec. 4.2, Table 6; Malkiel and Wolf 2021).

    `update(gradients, state, params, loss_gradients={name: gradients of that loss})` replaces the gradients, which it
    does not read, by a step of Adam. In every tensor the gradient of each loss is first brought to the running norm of
    the first loss, times its rank; each loss has moments of its own, whose means are added up and divided by the
    largest of their denominators. With one loss this is `optax.adam`.

    A loss whose gradient vanishes (norm up to 1e-10) hands the role of the first one on to the next, as in the original
    code. Beyond the original a loss is left out of a step in which its gradient is NaN or infinite, or the norm
    overflows, in any tensor: it adds nothing then and its part of the state stays. With no other loss the step is 0.
    The original skips all tensors after one that has no gradient; here there is none without.

    Args:
        learning_rate: A constant, or a schedule over steps (from 0).
        losses: Names of the losses; the first sets the norm.
        b1: Decay of the first moments.
        b2: Decay of the second moments.
        b3: Decay of the norms.
        eps: Added to the denominators.
        weight_decay: Of the L2 penalty, added to the balanced gradient of every loss.
        ranks: Importance of each loss by name; 1 for all if None.

    Returns:
        A transformation whose state is an `MTAdamState`.

    Raises:
        ValueError: For an argument out of range, or names that do not match; the latter also from `update`.
    """
    names = tuple(losses)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"losses must be different names, at least one, got {list(names)}")
    if not all(0 <= decay < 1 for decay in (b1, b2, b3)):
        raise ValueError(f"b1, b2 and b3 must be in the range [0, 1), got {b1}, {b2} and {b3}")
    ranks = dict.fromkeys(names, 1.0) if ranks is None else ranks
    if set(ranks) != set(names):
        raise ValueError(f"ranks must name the losses {sorted(names)}, got {sorted(ranks)}")
    rank_of_each = [ranks[name] for name in names]

    def init_fn(params: optax.Params) -> MTAdamState:
        def zeros(param: jax.Array) -> jax.Array:
            return jnp.zeros((len(names), *param.shape), param.dtype)

        return MTAdamState(
            step=jnp.zeros((), jnp.int32),
            counts=jnp.zeros(len(names), jnp.int32),
            norms=jax.tree.map(lambda param: jnp.zeros(len(names), param.dtype), params),
            mu=jax.tree.map(zeros, params),
            nu=jax.tree.map(zeros, params),
        )

    def update_fn(
        updates: optax.Updates,
        state: MTAdamState,
        params: optax.Params | None = None,
        *,
        loss_gradients: Mapping[str, optax.Updates],
        **extra_args: object,
    ) -> tuple[optax.Updates, MTAdamState]:
        del updates, extra_args
        if set(loss_gradients) != set(names):
            raise ValueError(f"loss_gradients must name {sorted(names)}, got {sorted(loss_gradients)}")
        if weight_decay and params is None:
            raise ValueError("weight_decay needs the params in update")
        gradients = jax.tree.map(lambda *parts: jnp.stack(parts), *(loss_gradients[name] for name in names))
        sizes = jax.tree.map(_norms, gradients)
        is_finite = jnp.all(jnp.stack([jnp.isfinite(size) for size in jax.tree.leaves(sizes)]), axis=0)

        def keep_finite(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(_column(is_finite, new), new, old)

        def average_norm(norm: jax.Array, size: jax.Array) -> jax.Array:
            return keep_finite(jnp.where(state.counts == 0, size, b3 * norm + (1 - b3) * size), norm)

        def balance(gradient: jax.Array, norm: jax.Array, param: jax.Array | None = None) -> jax.Array:
            scaled = gradient * _column(_factors(norm, jnp.asarray(rank_of_each, norm.dtype)), gradient)
            return scaled if param is None else scaled + weight_decay * param[None]

        norms = jax.tree.map(average_norm, state.norms, sizes)
        balanced = jax.tree.map(balance, gradients, norms, *([params] if weight_decay else []))
        mu = jax.tree.map(lambda m, g: keep_finite(b1 * m + (1 - b1) * g, m), state.mu, balanced)
        nu = jax.tree.map(lambda v, g: keep_finite(b2 * v + (1 - b2) * jnp.square(g), v), state.nu, balanced)
        counts = keep_finite(state.counts + 1, state.counts)
        rate = learning_rate(state.step) if callable(learning_rate) else learning_rate

        def step(m: jax.Array, v: jax.Array) -> jax.Array:
            # A loss that was never finite divides by 0, and is left out like all that are not finite now.
            mean = m / _column(1 - b1 ** counts.astype(m.dtype), m)
            deviation = jnp.sqrt(v) / _column(jnp.sqrt(1 - b2 ** counts.astype(v.dtype)), v) + eps
            total = jnp.sum(mean, axis=0, where=_column(is_finite, mean))
            largest = jnp.max(deviation, axis=0, where=_column(is_finite, mean), initial=0)
            return -jnp.asarray(rate, m.dtype) * jnp.where(jnp.any(is_finite), total / largest, 0)

        state = MTAdamState(optax.safe_increment(state.step), counts, norms, mu, nu)
        return jax.tree.map(step, mu, nu), state

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _norms(gradient: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(gradient), axis=range(1, gradient.ndim)))


def _factors(norms: jax.Array, ranks: jax.Array) -> jax.Array:
    """What brings every norm that does not vanish to the first of them, times the rank."""
    is_present = norms > _SMALLEST_NORM
    return jnp.where(is_present, ranks * norms[jnp.argmax(is_present)] / norms, 1)


def _column(values: jax.Array, like: jax.Array) -> jax.Array:
    """Spreads one value for each loss over the tensors of `like`, `(losses, ...)`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
