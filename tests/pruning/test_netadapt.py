import math

import numpy as np
import pytest
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models.layers import Conv
from mdepth_jax.pruning import netadapt
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.latency import COLUMNS
from mdepth_jax.pruning.netadapt import Candidate, Proposal, Settings
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.surgery import keep_all, shapes_of


class Chain(nnx.Module):
    """Convolutions 3 -> 32 -> 16 -> 1 without bias."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([Conv(3, 32, 3, 2, rngs=rngs), Conv(32, 16, rngs=rngs), Conv(16, 1, rngs=rngs)])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.fixture(scope="module")
def structure():
    return find_structure(nnx.eval_shape(Chain), 8, 12)


def proposal(group, resource, score, iteration=1):
    return Proposal(iteration, group, "", 8, float(resource), float(score), 1.0)


def test_golden_choice(golden):
    case = golden("netadapt_step")[6]
    for accuracies, resources, expected in zip(case["acc"], case["resource"], case["best_block"], strict=True):
        before = proposal(-1, resources[0], -accuracies[0], 0)
        tried = [proposal(i - 1, resources[i], -accuracies[i]) for i in range(1, len(resources))]
        assert netadapt.choose(tried, before).group == expected


def test_golden_schedule(golden):
    targets = golden("netadapt_step")[6]["targets_if_met_exactly"]
    current, settings = 1e6, Settings(0.0)
    for number, expected in enumerate(targets, start=1):
        current = netadapt.next_constraint(current, 1e6, number, settings)
        assert current == pytest.approx(expected, rel=1e-12)


def test_the_target_is_the_last_constraint():
    settings = Settings(90.0, first_step=0.06, decay=0.5)
    assert netadapt.next_constraint(100.0, 100.0, 1, settings) == 94
    assert netadapt.next_constraint(94.0, 100.0, 2, settings) == 91
    assert netadapt.next_constraint(91.0, 100.0, 3, settings) == 90
    assert [netadapt.iterations_left(current, 100.0, 1, settings) for current in (94.0, 91.0, 90.0)] == [2, 1, 0]


def test_a_score_that_is_not_finite_is_never_chosen():
    before = proposal(-1, 100, 0.2, 0)
    assert netadapt.choose([proposal(0, 50, math.nan), proposal(1, 90, 0.9)], before).group == 1
    assert netadapt.choose([proposal(0, 100, 0.1)], before) is None


def test_history_is_what_every_iteration_chose():
    start = proposal(-1, 100, 0.2, 0)
    tried = [proposal(0, 90, 0.3), proposal(1, 90, 0.21), proposal(0, 80, 0.22, 2), proposal(1, 85, 0.29, 2)]
    assert [choice.group for choice in netadapt.history([start, *tried])] == [-1, 1, 0]


def test_resources_count_by_hand(structure):
    assert [group.channels for group in structure.groups] == [32, 16]
    shapes = shapes_of(structure, [np.arange(32) < 24, np.arange(16) < 8])
    weights = 27 * 24 + 24 * 8 + 8
    assert make_resource("params", structure).measure(shapes) == weights
    assert make_resource("macs", structure).measure(shapes) == 4 * 6 * weights


def test_candidates(structure):
    """The first group meets 5 % with 24 channels; the second, with at most 264 of 1392 weights saved, misses 20 %."""
    params, kept = make_resource("params", structure), keep_all(structure)
    whole = 27 * 32 + 32 * 16 + 16
    found = netadapt.candidates(structure, kept, params, 0.95 * whole, 8)
    assert found == [Candidate(0, 24, 27 * 24 + 24 * 16 + 16), Candidate(1, 8, 27 * 32 + 32 * 8 + 8)]
    assert [candidate.group for candidate in netadapt.candidates(structure, kept, params, 0.8 * whole, 8)] == [0]
    # None meets a tenth alone: all go as far as they can.
    found = netadapt.candidates(structure, kept, params, 0.1 * whole, 8)
    assert [(candidate.group, candidate.width) for candidate in found] == [(0, 8), (1, 8)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(1392.0), "the network has 1,392 parameters now"),
        (Settings(100.0), "with 8 channels in every group the network still has 288 parameters"),
        (Settings(300.0), r"save 62\.5% at most, the target asks for 78\.4%"),
    ],
)
def test_targets_that_no_search_reaches(structure, settings, message):
    with pytest.raises(UserError, match=message):
        netadapt.check_target(structure, make_resource("params", structure), settings)


def test_latency_is_looked_up(structure, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(f"{','.join(COLUMNS)}\nconv,3,2,4,6,3,32,1.5\nconv,1,1,4,6,32,16,0.25\nconv,1,1,4,6,16,1,0.125\n")
    latency = make_resource("latency_ms", structure, table)
    assert latency.measure(structure.shapes) == 1.875
    assert latency.tell(1.875) == "1.88 ms"
    with pytest.raises(UserError, match=r"table\.csv lacks a layer \(operation conv, kernel 3, .* out_channels 24\)"):
        latency.measure(shapes_of(structure, [np.arange(32) < 24, np.ones(16, bool)]))


def test_unknown_resources(structure, tmp_path):
    with pytest.raises(UserError, match="'watts' is no resource; choose one of params, macs, latency_ms"):
        make_resource("watts", structure)
    with pytest.raises(UserError, match=r"--latency_table FILE\.csv; python -m .* layers --model RUN"):
        make_resource("latency_ms", structure)
    with pytest.raises(UserError, match=r"No such file or directory; python -m mdepth_jax\.benchmark layers"):
        make_resource("latency_ms", structure, tmp_path / "none.csv")
