"""Optax transformations: balancing of several losses."""

from mdepth_jax.optim.mtadam import MTAdamState, mtadam
from mdepth_jax.optim.rebalance import RebalanceState, easy_to_hard, hard_to_easy, rebalance

__all__ = ["MTAdamState", "RebalanceState", "easy_to_hard", "hard_to_easy", "mtadam", "rebalance"]
