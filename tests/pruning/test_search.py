"""A search on a network that compiles in a moment."""

import json

import numpy as np
import pytest

from mdepth_jax.models import count_parameters
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.pruning.search import Search
from tests.pruning.runs import BUDGET, make_small_search

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, quick_to_compile):
    """An uninterrupted search, and the number of parameters of the initial network."""
    search = make_small_search(tmp_path_factory.mktemp("search"))
    initial = count_parameters(search.pruned_model())
    assert search.run()
    return search, initial


def test_it_narrows_until_the_budget_is_met(whole):
    search, initial = whole
    resources = [picked.resource for picked in search.history]
    assert len(resources) == search.iteration + 1 >= 3
    assert resources[0] == initial > BUDGET
    assert resources[-1] == count_parameters(search.pruned_model()) <= BUDGET < resources[-2]
    for picked in search.history[1:]:
        proposals = search.proposals_of(picked.iteration)
        assert len(proposals) > 1
        assert picked in proposals


def test_all_proposals_share_one_compiled_program(whole):
    search, _ = whole
    assert len(search.proposals) > 3
    trainer = search.trainer
    programs = trainer.train_step, trainer.eval_step, trainer.start_state
    assert [program._cache_size() for program in programs] == [1, 1, 1]


class Killed(BaseException):
    pass


def test_a_killed_search_has_the_result_of_an_uninterrupted_one(whole, tmp_path, monkeypatch):
    """Killed in the first iteration and in the second."""
    search, _ = whole
    second = len(search.proposals_of(1)) + 2  # second proposal of the second iteration
    original, calls = Search._try, []

    def try_until_killed(self, simplification, batches):
        calls.append((self.iteration, simplification.group))
        if calls.count(calls[-1]) == 1 and len(set(calls)) in (2, second):
            raise Killed
        return original(self, simplification, batches)

    monkeypatch.setattr(Search, "_try", try_until_killed)
    for _ in range(2):
        with pytest.raises(Killed):
            make_small_search(tmp_path).run()
    again = make_small_search(tmp_path)
    assert again.iteration == 1
    assert again.run()
    assert len(calls) == len(set(calls)) + 2  # nothing is repeated but the proposals at which it was killed
    assert outcome(tmp_path) == outcome(search.workdir)
    expected, found = named_tensors(search.pruned_model()), named_tensors(again.pruned_model())
    for name, variable in expected.items():
        np.testing.assert_array_equal(found[name], variable)


def outcome(directory):
    """Returns every proposal without its time."""
    lines = [json.loads(line) for line in (directory / "proposals.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_an_interrupt_ends_it_after_the_proposal(whole, tmp_path, monkeypatch):
    search, _ = whole
    stopped = make_small_search(tmp_path)
    monkeypatch.setattr("mdepth_jax.training.hosts.any_host", lambda flag: True)
    assert not stopped.run()
    assert outcome(tmp_path) == outcome(search.workdir)[:2]
