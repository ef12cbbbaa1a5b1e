"""Optax transformations: balancing of several losses."""

from mdepth_jax.optim.rebalance import RebalanceState, easy_to_hard, hard_to_easy, rebalance

__all__ = ["RebalanceState", "easy_to_hard", "hard_to_easy", "rebalance"]
