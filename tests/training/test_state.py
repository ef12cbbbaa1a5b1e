import jax
import numpy as np
import optax
import pytest
from flax import nnx

from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.config import default
from mdepth_jax.training.state import create_state


def test_the_graph_and_the_state_make_the_network(model):
    model.eval()
    graph, state = create_state(model, optax.identity())
    assert int(state.step) == 0
    assert state.adversary == ()
    merged = nnx.merge(graph, state.params, state.batch_stats)
    left, right = nnx.state(model), nnx.state(merged)
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_network_survives_the_donation_of_its_state(model):
    _, state = create_state(model, optax.identity())
    for leaf in jax.tree.leaves(state.params):
        leaf.delete()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.usefixtures("optax_promotes")
def test_the_discriminator_is_part_of_the_state(model):
    adversary = Adversary(default().discriminator, rngs=nnx.Rngs(0))
    _, state = create_state(model, optax.adam(1e-3), adversary)
    assert jax.tree.structure(state.adversary) == jax.tree.structure(adversary.start)
    for leaf in jax.tree.leaves(state.adversary):
        leaf.delete()
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(adversary.start))
