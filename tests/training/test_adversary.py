import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.config import default

pytestmark = pytest.mark.usefixtures("optax_promotes")
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
ROWS = jnp.broadcast_to(jnp.linspace(3.0, 1.0, 32)[None, :, None, None], (4, 32, 32, 1))
NOISE = jnp.asarray(RNG.normal(size=(4, 32, 32, 1)), jnp.float32)


@pytest.fixture(scope="module")
def adversary():
    config = default().discriminator
    config.learning_rate = 4e-3
    return Adversary(config, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def update(adversary):
    return jax.jit(lambda state, step, real, fake: adversary.update(state, step, IMAGE, real, fake))


@pytest.fixture(scope="module")
def generator_loss(adversary):
    return jax.jit(jax.value_and_grad(lambda state, depth: adversary.generator_loss(state, IMAGE, depth), argnums=1))


def equal(left, right):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))


def test_trains_in_every_second_step(adversary, update):
    start = adversary.start
    assert equal(update(start, jnp.int32(0), ROWS, NOISE), start)
    moved = update(start, jnp.int32(1), ROWS, NOISE)
    assert not equal(moved.params, start.params)
    assert not equal(moved.rest, start.rest)


def test_learns_to_separate_the_teacher_from_the_student(adversary, update, generator_loss):
    state = adversary.start
    for _ in range(6):
        state = update(state, jnp.int32(1), ROWS, NOISE)
    (real, _), (fake, gradient) = generator_loss(state, ROWS), generator_loss(state, NOISE)
    assert fake > real + 0.1
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_unknown_pixels_of_the_teacher_give_nothing_away(adversary, update):
    unknown = jnp.full_like(ROWS, jnp.nan)
    assert equal(
        update(adversary.start, jnp.int32(1), unknown, NOISE), update(adversary.start, jnp.int32(1), NOISE, NOISE)
    )
