import pytest

from mdepth_jax.data.types import Supervision, WantedMaps
from mdepth_jax.errors import UserError
from mdepth_jax.training.config import overlay
from mdepth_jax.training.terms import TERMS, parse_terms, resolve_terms, wanted_maps

EVERYTHING = Supervision(True, True, True, True)


@pytest.mark.parametrize("term", TERMS.values(), ids=list(TERMS))
def test_a_term_has_one_way_to_be_computed(term):
    ways = (term.loss is not None, term.feature_loss is not None, term.needs_discriminator)
    assert sum(ways) == 1
    assert hasattr(EVERYTHING, term.supervision)
    assert term.remedy


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("auto", ["ranking", "pixelwise", "pairwise"]),
        ("l1+ranking", ["l1", "ranking"]),
        ("dense+dense", ["dense"]),
        ("affine+gradient_matching", ["affine", "gradient_matching"]),
    ],
)
def test_parse_terms(text, names):
    assert [term.name for term in parse_terms(text)] == names


@pytest.mark.parametrize(
    ("terms", "supervision", "expected"),
    [
        ("auto", Supervision(), ("ranking",)),
        ("auto", Supervision(teacher_depth=True), ("ranking", "pixelwise")),
        ("auto", EVERYTHING, ("ranking", "pixelwise", "pairwise")),
        (
            "auto",
            Supervision(teacher_depth=True, teacher_meanings=("relative depth",)),
            ("ranking", "affine", "gradient_matching"),
        ),
        ("dense", EVERYTHING, ("dense",)),
        ("pixelwise+ranking", EVERYTHING, ("pixelwise", "ranking")),
    ],
)
def test_resolve_terms(terms, supervision, expected):
    assert tuple(term.name for term in resolve_terms(terms, supervision)) == expected


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("rank", "'rank' is not a term"),
        ("ranking+pairwise", "'pairwise' needs a teacher with features"),
        ("pixelwise", "'pixelwise' needs a teacher"),
        ("affine", "'affine' needs a teacher"),
        ("dense", "'dense' needs depth maps"),
    ],
)
def test_resolve_terms_refuses(terms, message):
    with pytest.raises(UserError, match=message):
        resolve_terms(terms, Supervision())


@pytest.mark.parametrize("terms", ["ranking+pixelwise", "holistic"])
def test_terms_with_a_unit_refuse_relative_depth_of_a_teacher(terms):
    for meaning in ("", "depth in meters"):
        resolve_terms(terms, EVERYTHING._replace(teacher_meanings=(meaning,)))
    with pytest.raises(UserError, match=r"needs a teacher whose depth has one unit, .* are inverse relative depth"):
        resolve_terms(terms, EVERYTHING._replace(teacher_meanings=("depth in meters", "inverse relative depth")))


def test_nothing_to_learn_from():
    with pytest.raises(UserError, match="neither pairs nor a teacher"):
        resolve_terms("auto", Supervision(pairs=False, depth=True))


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, WantedMaps()),
        ({"teacher": {"maps": True}}, WantedMaps(teacher_depth=True)),
        ({"train": {"best_by": "rmse"}}, WantedMaps(depth=True)),
        *(({"loss": {"terms": term}}, WantedMaps(depth=True)) for term in ("dense", "ranking+l1", "mannequin")),
    ],
)
def test_wanted_maps(groups, expected):
    assert wanted_maps(overlay(**groups)) == expected
