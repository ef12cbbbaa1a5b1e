"""MTAdam: Adam for several losses, which balances the norms of their gradients in every tensor."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

_SMALLEST_NORM = 1e-10  # The original's: a gradient with a smaller norm counts as absent.


class MTAdamState(NamedTuple):
    """State of `mtadam`, in JAX's default float type.

    The elements of all tensors lie one after another in one row for each loss, so that an operation on all tensors
    compiles once instead of once for each.
    """

    step: jax.Array  # shape=(), dtype=jnp.int32: steps so far
    counts: jax.Array  # shape=(losses,), dtype=jnp.int32: steps in which the gradient of a loss was finite
    norms: jax.Array  # shape=(losses, tensors): running norms of the gradients
    mu: jax.Array  # shape=(losses, elements): first moments
    nu: jax.Array  # shape=(losses, elements): second moments


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
    """Balances several losses by the norms of their gradients (Sec. 4.3.1, Table 6; Malkiel and Wolf 2021).

    `update(gradients, state, params, loss_gradients={name: gradients of that loss})` replaces the gradients, which it
    does not read, by a step of Adam. In every tensor, with `g_i` the gradient of loss i and `t` the step from 1,

        n_i <- b3 n_i + (1 - b3) |g_i|               running norm; |g_i| in the first step
        g_i <- rank_i (n_1 / n_i) g_i                brought to the norm of the first loss
        m_i <- b1 m_i + (1 - b1) g_i                 moments of each loss
        v_i <- b2 v_i + (1 - b2) g_i^2
        step = -lr sum_i m_i / (1 - b1^t) / max_i (sqrt(v_i / (1 - b2^t)) + eps)

    With one loss this is `optax.adam`.

    A loss whose gradient vanishes (norm up to 1e-10) passes the role of the first one on to the next, as in the
    original code. Unlike there, a loss is left out of a step in which its gradient is NaN or infinite, or its norm
    overflows, in any tensor: it adds nothing to the step and its part of the state does not change. Without any other
    loss the step is 0. The original skips all tensors after one that has no gradient; here every tensor has one.

    Args:
        learning_rate: A constant, or a schedule over steps (from 0).
        losses: Names of the losses; the first one sets the norm.
        b1: Decay of the first moments.
        b2: Decay of the second moments.
        b3: Decay of the running norms.
        eps: Constant added to the denominators.
        weight_decay: Factor of the L2 penalty, added to the balanced gradient of every loss.
        ranks: Importance of each loss by name; 1 for all if None.

    Returns:
        A transformation whose state is an `MTAdamState`.

    Raises:
        ValueError: If an argument is out of range, or if names do not match; the latter also from `update`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from mdepth_jax.optim import mtadam
        >>> losses = {
        ...     "near_one": lambda x: jnp.sum((x - 1) ** 2),
        ...     "near_zero": lambda x: 1000 * jnp.sum(x**2),  # counts no more than the other
        ... }
        >>> optimizer = mtadam(0.1, list(losses))
        >>> x = jnp.full(1, 3.0)
        >>> state = optimizer.init(x)
        >>> for _ in range(100):
        ...     gradients = {name: jax.grad(loss)(x) for name, loss in losses.items()}
        ...     updates, state = optimizer.update(x, state, x, loss_gradients=gradients)
        ...     x = optax.apply_updates(x, updates)
        >>> bool(0.2 < x[0] < 0.8)
        True

    References:
        Malkiel and Wolf, "MTAdam: Automatic Balancing of Multiple Training Loss Terms", EMNLP 2021. Code:
        ItzikMalkiel/MTAdam, `mtadam.py`.
    """
    names = tuple(losses)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"`losses` must be different names, at least one, got {list(names)}")
    if not all(0 <= decay < 1 for decay in (b1, b2, b3)):
        raise ValueError(f"`b1`, `b2` and `b3` must be in the range [0, 1), got {b1}, {b2} and {b3}")
    ranks = dict.fromkeys(names, 1.0) if ranks is None else ranks
    if set(ranks) != set(names):
        raise ValueError(f"`ranks` must name the losses {sorted(names)}, got {sorted(ranks)}")
    rank_of_each = [ranks[name] for name in names]

    def init_fn(params: optax.Params) -> MTAdamState:
        tensors, elements = len(jax.tree.leaves(params)), optax.tree.size(params)
        return MTAdamState(
            step=jnp.zeros((), jnp.int32),
            counts=jnp.zeros(len(names), jnp.int32),
            norms=jnp.zeros((len(names), tensors)),
            mu=jnp.zeros((len(names), elements)),
            nu=jnp.zeros((len(names), elements)),
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
            raise ValueError(f"`loss_gradients` must name {sorted(names)}, got {sorted(loss_gradients)}")
        if weight_decay and params is None:
            raise ValueError("`weight_decay` needs the `params` in update")
        dtype = state.mu.dtype
        tensors = _stack_losses([loss_gradients[name] for name in names], dtype)
        norms = jnp.stack([jnp.sqrt(jnp.sum(jnp.square(tensor), axis=1)) for tensor in tensors], axis=1)
        is_finite = jnp.all(jnp.isfinite(norms), axis=1, keepdims=True)
        t = state.counts[:, None]
        n = jnp.where(is_finite, jnp.where(t == 0, norms, b3 * state.norms + (1 - b3) * norms), state.norms)
        factors = _balancing_factors(n, jnp.asarray(rank_of_each, dtype)[:, None])
        g = jnp.concatenate([tensor * factors[:, i, None] for i, tensor in enumerate(tensors)], axis=1)
        if weight_decay:
            g += weight_decay * _ravel(params, dtype)[None]
        m = jnp.where(is_finite, b1 * state.mu + (1 - b1) * g, state.mu)
        v = jnp.where(is_finite, b2 * state.nu + (1 - b2) * jnp.square(g), state.nu)
        t += is_finite.astype(t.dtype)
        # A loss that was never finite divides by 0; the sum and the maximum leave it out like all that are not finite.
        mean = m / (1 - b1 ** t.astype(dtype))
        denominator = jnp.sqrt(v) / jnp.sqrt(1 - b2 ** t.astype(dtype)) + eps
        total = jnp.sum(mean, axis=0, where=is_finite)
        largest = jnp.max(denominator, axis=0, where=is_finite, initial=0)
        rate = jnp.asarray(learning_rate(state.step) if callable(learning_rate) else learning_rate, dtype)
        step = -rate * jnp.where(jnp.any(is_finite), total / largest, 0)
        state = MTAdamState(optax.safe_increment(state.step), counts=t[:, 0], norms=n, mu=m, nu=v)
        return _unravel(step, loss_gradients[names[0]]), state

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _stack_losses(gradients: Sequence[optax.Updates], dtype: jnp.dtype) -> list[jax.Array]:
    """Returns one array `[losses, elements]` for each tensor."""
    return [
        jnp.stack([part.ravel().astype(dtype) for part in parts])
        for parts in zip(*map(jax.tree.leaves, gradients), strict=True)
    ]


def _balancing_factors(norms: jax.Array, ranks: jax.Array) -> jax.Array:
    """Computes the factors that bring every norm of a tensor that does not vanish to the first such one."""
    is_present = norms > _SMALLEST_NORM
    anchor = jnp.take_along_axis(norms, jnp.argmax(is_present, axis=0, keepdims=True), axis=0)
    return jnp.where(is_present, ranks * anchor / norms, 1)


def _ravel(tree: optax.Params, dtype: jnp.dtype) -> jax.Array:
    """Lays the elements of all tensors one after another."""
    return jnp.concatenate([leaf.ravel().astype(dtype) for leaf in jax.tree.leaves(tree)])


def _unravel(row: jax.Array, like: optax.Params) -> optax.Params:
    """Inverts `_ravel`, with the shapes and types of `like`."""
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = zip(jnp.split(row, ends[:-1]), leaves, strict=True)
    return jax.tree.unflatten(structure, [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in parts])
