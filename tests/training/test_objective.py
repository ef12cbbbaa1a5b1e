import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdepth_jax import losses
from mdepth_jax.data.types import Supervision
from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthOutputs
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import Objective, make_objective
from mdepth_jax.training.terms import TermOptions, parse_terms
from tests.training.batches import SIZE, random_batch

EVERYTHING = Supervision(True, True, True, True)


def outputs(heads=2):
    rng = np.random.default_rng(5)
    depths = [jnp.asarray(rng.normal(size=(4, SIZE, SIZE, 1)), jnp.float32) for _ in range(heads + 1)]
    features = jnp.asarray(rng.normal(size=(4, SIZE // 2, SIZE // 2, 8)), jnp.float32)
    return DepthOutputs(depths[0], tuple(depths[1:]), features)


def batch():
    rng = np.random.default_rng(6)
    extra = {
        "teacher_depth": rng.normal(size=(4, SIZE, SIZE, 1)),
        "teacher_features": rng.normal(size=(4, SIZE // 2, SIZE // 2, 6)),
    }
    return {key: jnp.asarray(value) for key, value in random_batch(0).items()} | {
        key: jnp.asarray(value, jnp.float32) for key, value in extra.items()
    }


def test_terms_are_the_losses_of_equation_5():
    objective = Objective(parse_terms("ranking+pixelwise+pairwise"), heads=2)
    out, data = outputs(), batch()
    result = objective(out, data)
    pairs = data["points"], data["relation"], data["valid"]
    predictions, weights = (out.depth, *out.auxiliary), (0.5, 0.25, 0.25)
    ranking = sum(w * losses.ranking_loss(d, *pairs) for w, d in zip(weights, predictions, strict=True))
    rmse = sum(
        w * np.sqrt(np.mean((np.asarray(d) - np.asarray(data["teacher_depth"])) ** 2))
        for w, d in zip(weights, predictions, strict=True)
    )
    np.testing.assert_allclose(result["ranking"], ranking, rtol=1e-6)
    np.testing.assert_allclose(result["pixelwise"], rmse, rtol=1e-6)
    np.testing.assert_allclose(
        result["pairwise"], losses.pairwise_loss(out.features, data["teacher_features"]), rtol=1e-6
    )


def affine_batch(change=1.0, addend=0.0):
    """A batch whose teacher's depth is unknown in parts, of one image altogether."""
    data = batch()
    teacher = data["teacher_depth"].at[1, 5:40].set(jnp.nan).at[3].set(jnp.nan)
    return data | {"teacher_depth": teacher * change + addend}


def test_affine_terms_are_the_losses_of_every_prediction():
    objective = Objective(
        parse_terms("ranking+affine+gradient_matching"), 2, TermOptions(trim=0.2), fixed_intermediate=False
    )
    out, data = outputs(), affine_batch()
    result = jax.jit(objective)(out, data)
    teacher, known = data["teacher_depth"], jnp.isfinite(data["teacher_depth"])
    for index, depth in enumerate((out.depth, *out.auxiliary)):
        expected = jax.jit(losses.affine_invariant_loss, static_argnames="trim")(depth, teacher, known, trim=0.2)
        np.testing.assert_allclose(result[f"affine_{index}"], expected, rtol=1e-5)
        expected = jax.jit(losses.gradient_matching_loss)(depth, teacher, known)
        np.testing.assert_allclose(result[f"gradient_matching_{index}"], expected, rtol=1e-5)
    moved = jax.jit(objective)(out, affine_batch(300.0, -5.0))
    for name, value in moved.items():
        assert np.isfinite(value)
        np.testing.assert_allclose(value, result[name], rtol=1e-4)


def test_affine_terms_leave_the_unit_of_the_network_free():
    """A prediction in another unit has the same losses but for the ranking, whose gradient decides on the unit."""
    terms = parse_terms("ranking+affine+gradient_matching")
    config = overlay(loss={"terms": "ranking+affine+gradient_matching", "trim": 0.1})
    objective = make_objective(config, Supervision(True, False, True, False))
    assert (objective.terms, objective.options.trim) == (terms, 0.1)
    out, data = outputs(), affine_batch()
    scaled = out._replace(depth=7 * out.depth + 3, auxiliary=tuple(7 * depth + 3 for depth in out.auxiliary))
    one, other = jax.jit(objective)(out, data), jax.jit(objective)(scaled, data)
    for name in ("affine", "gradient_matching"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-4)
    assert other["ranking"] != one["ranking"]


def test_without_fixed_intermediate_weights_every_prediction_is_a_term():
    free = Objective(parse_terms("ranking+pixelwise+pairwise"), heads=2, fixed_intermediate=False)
    fixed = Objective(parse_terms("ranking+pixelwise+pairwise"), heads=2)
    out, data = outputs(), batch()
    single, together = free(out, data), fixed(out, data)
    names = [f"{term}_{index}" for term in ("ranking", "pixelwise") for index in range(3)] + ["pairwise"]
    assert sorted(single) == sorted(names) == sorted(free.initial_weights(WEIGHTS))
    for term in ("ranking", "pixelwise"):
        values = [single[f"{term}_{index}"] for index in range(3)]
        np.testing.assert_allclose(np.dot([0.5, 0.25, 0.25], values), together[term], rtol=1e-6)


WEIGHTS = {"ranking": 1.0, "pixelwise": 1.0, "pairwise": 2.0, "dense": 1.0}


def test_without_intermediate_predictions_a_term_keeps_its_name():
    objective = Objective(parse_terms("ranking+pairwise"), heads=0, fixed_intermediate=False)
    assert objective.initial_weights(WEIGHTS) == pytest.approx({"ranking": 1 / 3, "pairwise": 2 / 3})
    assert objective(outputs(heads=0), batch()).keys() == {"ranking", "pairwise"}


def test_the_objective_of_a_configuration():
    config = overlay(
        model={"heads": 1},
        loss={"terms": "improved_ranking+pairwise", "pool_scale": 0.25, "drop_easy": 0.5},
        rebalance={"fixed_intermediate": False},
    )
    terms, options = parse_terms(config.loss.terms), TermOptions(pool_scale=0.25, drop_easy=0.5)
    expected = Objective(terms, heads=1, options=options, fixed_intermediate=False)
    objective = make_objective(config, EVERYTHING)
    assert objective == expected
    with pytest.raises(dataclasses.FrozenInstanceError):
        objective.heads = 2


@pytest.mark.parametrize(("terms", "needs"), [("ranking+pairwise", False), ("ranking+holistic", True)])
def test_needs_discriminator(terms, needs):
    assert Objective(parse_terms(terms), heads=0).needs_discriminator is needs


def test_initial_weights_sum_to_one():
    assert Objective(parse_terms("ranking+pixelwise"), heads=2).initial_weights(WEIGHTS) == {
        "ranking": 0.5,
        "pixelwise": 0.5,
    }
    spread = Objective(parse_terms("ranking+pairwise"), heads=1, fixed_intermediate=False).initial_weights(WEIGHTS)
    assert spread == pytest.approx({"ranking_0": 1 / 6, "ranking_1": 1 / 6, "pairwise": 2 / 3})


def test_terms_without_any_weight():
    config = overlay(loss={"terms": "ranking+pixelwise", "weights": {"ranking": 0.0, "pixelwise": 0.0}})
    with pytest.raises(UserError, match=r"`config\.loss\.weights`: those of ranking, pixelwise are 0"):
        make_objective(config, EVERYTHING)
    config.loss.weights.ranking = 1.0
    weights = make_objective(config, EVERYTHING).initial_weights(config.loss.weights.to_dict())
    assert weights == {"ranking": 1.0, "pixelwise": 0.0}


def test_unknown_depth_is_left_out():
    objective = Objective(parse_terms("dense"), heads=0)
    out, data = outputs(heads=0), batch()
    known = np.isfinite(np.asarray(data["depth"]))
    error = (np.asarray(out.depth) - np.asarray(data["depth"]))[known]
    np.testing.assert_allclose(objective(out, data)["dense"], np.sqrt(np.mean(error**2)), rtol=1e-6)


def test_terms_on_depth_maps_and_the_improved_ranking():
    objective = Objective(parse_terms("improved_ranking+l1+mannequin"), heads=0, options=TermOptions(drop_easy=0.25))
    out, data = outputs(heads=0), batch()
    result = objective(out, data)
    known = jnp.isfinite(data["depth"])
    pairs = data["points"], data["relation"], data["valid"]
    image = data["image"].astype(jnp.float32) / 255
    expected = {
        "improved_ranking": losses.improved_ranking_loss(out.depth, *pairs, drop_easy=0.25),
        "l1": losses.l1_loss(out.depth, data["depth"], known),
        "mannequin": losses.mannequin_loss(out.depth, data["depth"], image, known),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-6)
        assert np.isfinite(value)


def test_holistic_looks_at_the_final_prediction_alone():
    objective = Objective(parse_terms("pixelwise+holistic"), heads=2, fixed_intermediate=False)
    out, data = outputs(), batch()
    result = objective(out, data, jnp.mean)
    np.testing.assert_allclose(result["holistic"], np.mean(out.depth), rtol=1e-5)
    weights = objective.initial_weights({"pixelwise": 1.0, "holistic": 0.05})
    assert weights["holistic"] == pytest.approx(0.05 / 1.05)
