"""A search on a network that compiles in a moment."""

import itertools
import json

import jax
import numpy as np
import pytest

from mdepth_jax.data.types import Data
from mdepth_jax.models import Header, count_parameters
from mdepth_jax.models.weights import named_tensors
from mdepth_jax.pruning.channels import find_structure
from mdepth_jax.pruning.netadapt import Settings
from mdepth_jax.pruning.resources import make_resource
from mdepth_jax.pruning.search import Search, Subject
from mdepth_jax.training.config import overlay
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.terms import parse_terms
from tests.models.test_depth_net import build_small
from tests.training.batches import SIZE, random_batch

TARGET = 6600.0


def make_search(workdir):
    model = build_small()
    config = overlay(model={"heads": 0}, data={"height": SIZE, "width": SIZE})
    data = Data(lambda start: (random_batch(step) for step in itertools.count(start)), lambda: [random_batch(1000)], 4)
    structure = find_structure(model, SIZE, SIZE)
    settings = Settings(TARGET, first_step=0.15, divisor=2, short_steps=2, learning_rate=1e-3)
    resource, objective = make_resource("params", structure), Objective(parse_terms("dense"), heads=0)
    subject = Subject(model, Header(), config, config, structure, resource, settings)
    return Search(subject, objective, data, None, workdir)


@pytest.fixture(autouse=True, scope="module")
def optax_promotes_everywhere():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken search."""
    search = make_search(tmp_path_factory.mktemp("search"))
    start = count_parameters(search.cut())
    assert search.run()
    return search, start


def test_it_narrows_until_the_target_is_met(whole):
    search, start = whole
    resources = [choice.resource for choice in search.history]
    assert len(resources) == search.iteration + 1 >= 3
    assert resources[0] == start > TARGET
    assert resources[-1] == count_parameters(search.cut()) <= TARGET < resources[-2]
    for choice in search.history[1:]:
        tried = search.proposals_of(choice.iteration)
        assert len(tried) > 1
        assert choice in tried


def test_all_proposals_share_one_compiled_program(whole):
    search, _ = whole
    assert len(search.proposals) > 3
    assert [step._cache_size() for step in (search.train_step, search.eval_step, search.begin)] == [1, 1, 1]


class Killed(BaseException):
    pass


def test_a_killed_search_gives_what_an_unbroken_one_does(whole, tmp_path, monkeypatch):
    """Killed in the first iteration and in the second."""
    search, _ = whole
    second = 1 + len(search.proposals_of(1)) + 1  # its second proposal
    original, calls = Search._try, []

    def try_until_killed(self, candidate, batches):
        calls.append((self.iteration, candidate.group))
        if calls.count(calls[-1]) == 1 and len(set(calls)) in (3, second + 1):
            raise Killed
        return original(self, candidate, batches)

    monkeypatch.setattr(Search, "_try", try_until_killed)
    for _ in range(2):
        with pytest.raises(Killed):
            make_search(tmp_path).run()
    again = make_search(tmp_path)
    assert again.iteration == 1
    assert again.run()
    assert len(calls) == len(set(calls)) + 2  # nothing is done twice but the proposals at which it was killed
    assert outcome(tmp_path) == outcome(search.workdir)
    expected, found = named_tensors(search.cut()), named_tensors(again.cut())
    for name, variable in expected.items():
        np.testing.assert_array_equal(found[name], variable)


def outcome(directory):
    """Every proposal without its time."""
    lines = [json.loads(line) for line in (directory / "proposals.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_an_interrupt_ends_it_after_the_proposal(whole, tmp_path, monkeypatch):
    search, _ = whole
    stopped = make_search(tmp_path)
    monkeypatch.setattr("mdepth_jax.training.hosts.any_host", lambda flag: True)
    assert not stopped.run()
    assert outcome(tmp_path) == outcome(search.workdir)[:2]
