"""MTAdam: Adam for several losses, which balances the sizes of their gradients in every tensor.

Source: Malkiel and Wolf, "MTAdam: Automatic balancing of multiple training loss terms", EMNLP 2021.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

_SMALLEST_NORM = 1e-10  # The original's: a gradient below counts as none.


class MTAdamState(NamedTuple):
    """State of `mtadam`.

    All tensors lie one after another in a row for each loss, in JAX's default float type: what is done to them
    compiles once, not for each.
    """

    step: jax.Array  # shape=(), dtype=jnp.int32: steps done
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
            raise ValueError(f"loss_gradients must name {sorted(names)}, got {sorted(loss_gradients)}")
        if weight_decay and params is None:
            raise ValueError("weight_decay needs the params in update")
        dtype = state.mu.dtype
        tensors = [
            jnp.stack([part.ravel().astype(dtype) for part in parts])
            for parts in zip(*(jax.tree.leaves(loss_gradients[name]) for name in names), strict=True)
        ]
        sizes = jnp.stack([jnp.sqrt(jnp.sum(jnp.square(tensor), axis=1)) for tensor in tensors], axis=1)
        is_finite = jnp.all(jnp.isfinite(sizes), axis=1, keepdims=True)
        counts = state.counts[:, None]
        averages = jnp.where(counts == 0, sizes, b3 * state.norms + (1 - b3) * sizes)
        norms = jnp.where(is_finite, averages, state.norms)
        factors = _factors(norms, jnp.asarray(rank_of_each, dtype)[:, None])
        gradients = jnp.concatenate([tensor * factors[:, i, None] for i, tensor in enumerate(tensors)], axis=1)
        if weight_decay:
            gradients += weight_decay * _ravel(params, dtype)[None]
        mu = jnp.where(is_finite, b1 * state.mu + (1 - b1) * gradients, state.mu)
        nu = jnp.where(is_finite, b2 * state.nu + (1 - b2) * jnp.square(gradients), state.nu)
        counts += is_finite.astype(counts.dtype)
        # A loss that was never finite divides by 0, and is left out like all that are not finite now.
        mean = mu / (1 - b1 ** counts.astype(dtype))
        deviation = jnp.sqrt(nu) / jnp.sqrt(1 - b2 ** counts.astype(dtype)) + eps
        total = jnp.sum(mean, axis=0, where=is_finite)
        largest = jnp.max(deviation, axis=0, where=is_finite, initial=0)
        rate = jnp.asarray(learning_rate(state.step) if callable(learning_rate) else learning_rate, dtype)
        step = -rate * jnp.where(jnp.any(is_finite), total / largest, 0)
        state = MTAdamState(optax.safe_increment(state.step), counts[:, 0], norms, mu, nu)
        return _unravel(step, loss_gradients[names[0]]), state

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _ravel(tree: optax.Params, dtype: jnp.dtype) -> jax.Array:
    """Lays all tensors one after another."""
    return jnp.concatenate([leaf.ravel().astype(dtype) for leaf in jax.tree.leaves(tree)])


def _unravel(row: jax.Array, like: optax.Params) -> optax.Params:
    """The inverse of `_ravel`, with the shapes and types of `like`."""
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = zip(jnp.split(row, ends[:-1]), leaves, strict=True)
    return jax.tree.unflatten(structure, [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in parts])


def _factors(norms: jax.Array, ranks: jax.Array) -> jax.Array:
    """What brings every norm of a tensor that does not vanish to the first of them, times the rank."""
    is_present = norms > _SMALLEST_NORM
    anchor = jnp.take_along_axis(norms, jnp.argmax(is_present, axis=0, keepdims=True), axis=0)
    return jnp.where(is_present, ranks * anchor / norms, 1)
