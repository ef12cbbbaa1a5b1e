import math

import numpy as np
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.pruning import netadapt
from mdepth_jax.pruning.netadapt import Proposal, Settings, Simplification
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.surgery import keep_all, keep_first, pruned_shapes
from tests.pruning.networks import find_chain_structure


@pytest.fixture(scope="module")
def structure():
    return find_chain_structure()


def proposal(group, resource, score, iteration=1):
    return Proposal(
        iteration=iteration, group=group, layer="", width=8, resource=float(resource), score=float(score), seconds=1.0
    )


def test_golden_choice(golden):
    case = golden("netadapt_step")[6]
    for accuracies, resources, expected in zip(case["acc"], case["resource"], case["best_block"], strict=True):
        current = proposal(-1, resources[0], -accuracies[0], 0)
        tried = [proposal(i - 1, resources[i], -accuracies[i]) for i in range(1, len(resources))]
        assert netadapt.pick_proposal(tried, current).group == expected


def test_golden_schedule(golden):
    targets = golden("netadapt_step")[6]["targets_if_met_exactly"]
    current, settings = 1e6, Settings(budget=0.0)
    for number, expected in enumerate(targets, start=1):
        current = netadapt.next_constraint(current, 1e6, number, settings)
        assert current == pytest.approx(expected, rel=1e-12)


def test_the_budget_is_the_last_constraint():
    settings = Settings(budget=90.0, first_step=0.06, decay=0.5)
    assert netadapt.next_constraint(100.0, 100.0, 1, settings) == 94
    assert netadapt.next_constraint(94.0, 100.0, 2, settings) == 91
    assert netadapt.next_constraint(91.0, 100.0, 3, settings) == 90
    assert [netadapt.count_iterations(current, 100.0, 1, settings) for current in (94.0, 91.0, 90.0)] == [2, 1, 0]


def test_a_score_that_is_not_finite_is_never_picked():
    current = proposal(-1, 100, 0.2, 0)
    assert netadapt.pick_proposal([proposal(0, 50, math.nan), proposal(1, 90, 0.9)], current).group == 1
    assert netadapt.pick_proposal([proposal(0, 100, 0.1)], current) is None


def test_the_pick_of_every_iteration():
    start = proposal(-1, 100, 0.2, 0)
    tried = [proposal(0, 90, 0.3), proposal(1, 90, 0.21), proposal(0, 80, 0.22, 2), proposal(1, 85, 0.29, 2)]
    assert [picked.group for picked in netadapt.picked_proposals([start, *tried])] == [-1, 1, 0]


def test_simplifications(structure):
    """The first group meets 5 % with 24 channels; the second, with at most 264 of 1392 weights saved, misses 20 %."""
    params, kept = make_resource("params", structure), keep_all(structure)
    whole = 27 * 32 + 32 * 16 + 16
    found = netadapt.list_simplifications(structure, kept, params, 0.95 * whole, 8)
    assert found == [
        Simplification(group=0, width=24, resource=27.0 * 24 + 24 * 16 + 16),
        Simplification(group=1, width=8, resource=27.0 * 32 + 32 * 8 + 8),
    ]
    assert [found.group for found in netadapt.list_simplifications(structure, kept, params, 0.8 * whole, 8)] == [0]
    # None meets a tenth alone: all go as far as they can.
    found = netadapt.list_simplifications(structure, kept, params, 0.1 * whole, 8)
    assert [(simplification.group, simplification.width) for simplification in found] == [(0, 8), (1, 8)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(budget=1392.0), "the network has 1,392 parameters now"),
        (Settings(budget=100.0), "with 8 channels in every group the network still has 288 parameters"),
        (Settings(budget=300.0), r"save 62\.5% at most, the target asks for 78\.4%"),
    ],
)
def test_budgets_that_no_search_meets(structure, settings, message):
    with pytest.raises(UserError, match=message):
        netadapt.check_budget(structure, make_resource("params", structure), settings)


def test_settings_that_would_never_end_or_never_train():
    for change in ({"first_step": 0.0}, {"first_step": 1.0}, {"decay": 0.0}, {"decay": 1.1}):
        with pytest.raises(UserError, match="`first_step` must lie between 0 and 1, `decay` above 0"):
            Settings(budget=1.0, **change)
    for change in ({"short_steps": 0}, {"learning_rate": 0.0}, {"evaluation_batches": -1}):
        with pytest.raises(UserError, match="`short_steps` and `learning_rate` must be positive"):
            Settings(budget=1.0, **change)


def test_even_pruning_keeps_the_largest_share_that_meets_the_budget(structure):
    """Half of both groups meets the budget, the next larger share does not."""
    tensors = {
        conv.kernel: np.random.default_rng(0).normal(size=structure.shapes[conv.kernel])
        for conv in structure.convolutions
    }
    resource = make_resource("params", structure)
    half = 27.0 * 16 + 16 * 8 + 8
    for budget in (half, half + 100):
        kept = netadapt.prune_evenly(structure, tensors, resource, Settings(budget=budget))
        assert [mask.sum() for mask in kept] == [16, 8]
    strongest = np.argsort(np.square(tensors[structure.groups[0].filters[0]]).sum((0, 1, 2)))[16:]
    np.testing.assert_array_equal(np.flatnonzero(kept[0]), np.sort(strongest))
    smallest = resource.measure(pruned_shapes(structure, keep_first(structure, 8)))
    kept = netadapt.prune_evenly(structure, tensors, resource, Settings(budget=smallest))
    assert [mask.sum() for mask in kept] == [8, 8]
