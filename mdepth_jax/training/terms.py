"""The table of loss terms: what each one computes and what it asks of data, teacher, optimizer and configuration.

A new term is one entry of `TERMS` and one function. Everything that depends on the terms of a run reads this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict

from mdepth_jax import losses
from mdepth_jax.data.types import Supervision, WantedMaps
from mdepth_jax.errors import UserError

Scalar = Float[Array, ""]
Depth = Float[Array, "batch height width 1"]
Features = Float[Array, "batch feature_height feature_width channels"]
Batch = Mapping[str, Any]
Supervised = Literal["pairs", "depth", "teacher_depth", "teacher_features"]

_REMEDIES: Mapping[Supervised, str] = {
    "pairs": "ordinal pairs: a CSV of pairs, or depth maps and `config.data.sampled_pairs=N`",
    "depth": "depth maps: a folder depth/ next to images/",
    "teacher_depth": "a teacher: `config.teacher.maps=True` or `config.teacher.run=DIR`",
    "teacher_features": "a teacher with features (cached maps have none): `config.teacher.run=DIR`",
}


@dataclass(frozen=True)
class TermOptions:
    """Keys of the group `loss` that the functions of the terms take.

    Attributes:
        pool_scale: Share of a side of the feature maps in one node of the pair-wise term.
        drop_easy: Share of the unequal pairs, the easiest, that the improved ranking leaves out.
        trim: Share of the pixels of an image, those with the largest residuals, that the affine term leaves out.
    """

    pool_scale: float = 0.5
    drop_easy: float = 0.0
    trim: float = 0.0


@dataclass(frozen=True)
class Term:
    """A loss term; exactly one of `loss`, `feature_loss` and `needs_discriminator` is set.

    Attributes:
        name: Name in `config.loss.terms` and `config.loss.weights`.
        supervision: Field of `Supervision` that it learns from.
        description: One line of documentation.
        loss: Function of one prediction, the batch and the options, applied to every prediction (Eq. 4).
        feature_loss: Function of the network's features, the batch and the options.
        needs_discriminator: Whether a discriminator judges the final prediction.
        weight: Default of `config.loss.weights`.
        has_unit: Whether it fixes the unit of the prediction to that of the depth maps.
        needs_teacher_unit: Whether it compares with a teacher's depth that has one unit in all images, so that cached
            maps of relative depth, with a scale and a shift each, are refused.
        can_be_negative: Whether its value can be negative; such a term cannot be rebalanced.
        log: Value of `config.data.log` that it requires; None for any.
        automatic: Whether `config.loss.terms=auto` includes it wherever there is its supervision.
    """

    name: str
    supervision: Supervised
    description: str
    loss: Callable[[Depth, Batch, TermOptions], Scalar] | None = None
    feature_loss: Callable[[Features, Batch, TermOptions], Scalar] | None = None
    needs_discriminator: bool = False
    weight: float = 1.0
    has_unit: bool = False
    needs_teacher_unit: bool = False
    can_be_negative: bool = False
    log: float | None = None
    automatic: bool = False

    @property
    def reads_depth_maps(self) -> bool:
        """Whether it is dense: learns from the data set's own depth maps."""
        return self.supervision == "depth"

    @property
    def reads_teacher(self) -> bool:
        """Whether it learns from a teacher."""
        return self.supervision in ("teacher_depth", "teacher_features")

    @property
    def remedy(self) -> str:
        """Missing supervision and how to provide it, in words."""
        return _REMEDIES[self.supervision]


def _ranking(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.ranking_loss(depth, *_pairs(batch))


def _improved_ranking(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.improved_ranking_loss(depth, *_pairs(batch), drop_easy=options.drop_easy)


def _pixelwise(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.rmse_loss(depth, *_known(batch["teacher_depth"]))


def _affine(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.affine_invariant_loss(depth, *_known(batch["teacher_depth"]), trim=options.trim)


def _gradient_matching(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.gradient_matching_loss(depth, *_known(batch["teacher_depth"]))


def _pairwise(features: Features, batch: Batch, options: TermOptions) -> Scalar:
    return losses.pairwise_loss(features, batch["teacher_features"], pool_scale=options.pool_scale)


def _dense(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.rmse_loss(depth, *_known(batch["depth"]))


def _l1(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    return losses.l1_loss(depth, *_known(batch["depth"]))


def _mannequin(depth: Depth, batch: Batch, options: TermOptions) -> Scalar:
    target, known = _known(batch["depth"])
    return losses.mannequin_loss(depth, target, batch["image"].astype(jnp.float32) / 255, known)


TERMS: Mapping[str, Term] = {
    term.name: term
    for term in (
        Term("ranking", "pairs", "ranking of pairs (Eq. 2).", _ranking, automatic=True),
        Term("improved_ranking", "pairs", "improved ranking of pairs (Eq. 3).", _improved_ranking),
        Term(
            "pixelwise",
            "teacher_depth",
            "RMSE to the teacher's depth (Eq. 5, PI).",
            _pixelwise,
            needs_teacher_unit=True,
            automatic=True,
        ),
        Term(
            "pairwise",
            "teacher_features",
            "similarities between nodes of the teacher's features (Eq. 5, PA).",
            feature_loss=_pairwise,
            automatic=True,
        ),
        Term(
            "holistic",
            "teacher_depth",
            "discriminator of the teacher's depth (Sec. 4.3.1, GAN).",
            needs_discriminator=True,
            needs_teacher_unit=True,
            weight=0.05,
            can_be_negative=True,
        ),
        Term("affine", "teacher_depth", "error up to scale and shift of the teacher's depth.", _affine),
        Term(
            "gradient_matching",
            "teacher_depth",
            "error of spatial gradients up to scale and shift of the teacher's depth.",
            _gradient_matching,
        ),
        Term("dense", "depth", "RMSE to depth maps.", _dense, has_unit=True),
        Term("l1", "depth", "mean absolute error to depth maps.", _l1, has_unit=True),
        Term("mannequin", "depth", "loss of the Mannequin Challenge (Eq. 1); needs `data.log=1`.", _mannequin, log=1.0),
    )
}


def parse_terms(text: str) -> tuple[Term, ...]:
    """Parses `config.loss.terms` without regard to the data.

    Args:
        text: Names of `TERMS` joined by "+", or "auto" for all that are automatic.

    Raises:
        UserError: If a name is not that of a term.
    """
    if text == "auto":
        return tuple(term for term in TERMS.values() if term.automatic)
    names = tuple(dict.fromkeys(text.split("+")))
    for name in names:
        if name not in TERMS:
            raise UserError(f"`config.loss.terms`: {name!r} is not a term; choose from {', '.join(TERMS)}, joined by +")
    return tuple(TERMS[name] for name in names)


def planned_terms(config: ConfigDict) -> tuple[Term, ...]:
    """Returns the terms of a configuration before its data is known; "auto" stands for all that may be among them.

    The meaning of cached maps, which decides whether they fit `pixelwise` or the terms up to scale and shift, is known
    with the data.

    Args:
        config: Complete configuration.

    Raises:
        UserError: If `config.loss.terms` names a term that does not exist.
    """
    terms, teacher = parse_terms(config.loss.terms), config.teacher
    if config.loss.terms != "auto":
        return terms
    has = {"pairs": True, "teacher_depth": teacher.maps or bool(teacher.run), "teacher_features": bool(teacher.run)}
    relative = filter(accepts_relative, TERMS.values()) if teacher.maps else ()
    return (*(term for term in terms if has[term.supervision]), *relative)


def resolve_terms(text: str, supervision: Supervision) -> tuple[Term, ...]:
    """Parses `config.loss.terms` for the supervision that there is.

    Args:
        text: Names of `TERMS` joined by "+", or "auto" for the automatic ones whose supervision there is.
        supervision: What the data and the teacher provide.

    Raises:
        UserError: If a name is not that of a term, a term lacks its supervision, or the teacher's maps have not the
            one unit that a term needs.
    """
    relative = [meaning for meaning in supervision.teacher_meanings if "relative" in meaning]
    accepting = tuple(term for term in TERMS.values() if accepts_relative(term))
    terms = parse_terms(text)
    if text == "auto":
        terms = tuple(term for term in terms if getattr(supervision, term.supervision))
        if relative and accepting:
            terms = (*(term for term in terms if not term.needs_teacher_unit), *accepting)
        if not terms:
            raise UserError("`config.loss.terms`: there are neither pairs nor a teacher; name a term, such as 'dense'")
    for term in terms:
        if not getattr(supervision, term.supervision):
            raise UserError(f"`config.loss.terms`: {term.name!r} needs {term.remedy}")
        if term.needs_teacher_unit and relative:
            raise UserError(
                f"`config.loss.terms`: {term.name!r} needs a teacher whose depth has one unit, but about.json says that"
                f" its maps are {' and '.join(relative)}, with a scale and a shift each; terms that accept them:"
                f" {', '.join(term.name for term in accepting) or 'none'}"
            )
    return terms


def accepts_relative(term: Term) -> bool:
    """Returns whether a term learns from a teacher's map up to its scale and shift."""
    return term.supervision == "teacher_depth" and not term.needs_teacher_unit


def wanted_maps(config: ConfigDict) -> WantedMaps:
    """Returns the maps that a run reads next to its images.

    Args:
        config: Complete configuration.

    Raises:
        UserError: If `config.loss.terms` names a term that does not exist.
    """
    terms = planned_terms(config)
    learns = any(term.reads_depth_maps for term in terms)
    distills = config.teacher.maps and any(term.supervision == "teacher_depth" for term in terms)
    return WantedMaps(depth=learns or config.train.best_by != "whdr", teacher_depth=distills)


def _pairs(batch: Batch) -> tuple[Any, Any, Any]:
    return batch["points"], batch["relation"], batch["valid"]


def _known(target: Depth) -> tuple[Depth, Bool[Array, "batch height width 1"]]:
    return target, jnp.isfinite(target)
