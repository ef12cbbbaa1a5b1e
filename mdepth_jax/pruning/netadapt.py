"""NetAdapt (Yang et al. 2018, Algorithm 1): narrows a network step by step, guided by its measured accuracy.

Every iteration proposes, for each group of channels, the largest width that saves enough, trains each proposal for a
few steps, and goes on with the one that loses least accuracy per resource saved. A proposal is the whole network with
zeros (see `surgery`): all proposals of a search share one compiled training step and one compiled evaluation.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mdepth_jax.errors import UserError
from mdepth_jax.pruning import surgery
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.resources import Resource
from mdepth_jax.pruning.surgery import Kept

DIVISOR = 8  # what phones compute in one go


class Settings(NamedTuple):
    """How a search goes.

    Attributes:
        target: Amount of the resource to get to.
        first_step: What the first iteration saves, as a share of the amount at the start.
        decay: Of the steps, from one iteration to the next.
        divisor: Widths are multiples of it.
        short_steps: Training steps of each proposal.
        learning_rate: Of those steps.
        evaluation_batches: Of the held-out set, that judge a proposal; 0 for all.
    """

    target: float
    first_step: float = 0.025
    decay: float = 0.96
    divisor: int = DIVISOR
    short_steps: int = 20
    learning_rate: float = 1e-4
    evaluation_batches: int = 0


class Proposal(NamedTuple):
    """A network that an iteration tried.

    Attributes:
        iteration: From 1; 0 is the network at the start.
        group: Index of the narrowed group in the structure; -1 at the start.
        layer: Its name.
        width: Its new number of channels.
        resource: Amount that the network needs.
        score: On the held-out set, lower is better.
        seconds: That it took.
    """

    iteration: int
    group: int
    layer: str
    width: int
    resource: float
    score: float
    seconds: float


class Candidate(NamedTuple):
    """A group with the width to try and the amount that the network then needs."""

    group: int
    width: int
    resource: float


def next_constraint(current: float, initial: float, iteration: int, settings: Settings) -> float:
    """Gives the amount below which an iteration (from 1) has to get: the steps shrink, the target is the last."""
    step = settings.first_step * initial * settings.decay ** (iteration - 1)
    return max(current - step, settings.target)


def iterations_left(current: float, initial: float, iteration: int, settings: Settings) -> int:
    """Gives how many iterations after `iteration` reach the target, if every one just meets its constraint."""
    for number in itertools.count():
        if current <= settings.target:
            return number
        current = next_constraint(current, initial, iteration + number + 1, settings)
    raise AssertionError


def choose_width(
    resource_of: Callable[[int], float], channels: int, constraint: float, divisor: int
) -> tuple[int, float]:
    """Gives the largest multiple of `divisor` whose resource is below the constraint, the smallest if none is.

    Args:
        resource_of: Amount that a width needs.
        channels: Width so far, at least `divisor`.
        constraint: To stay below.
        divisor: Also the smallest width.

    Returns:
        The width and what it needs.
    """
    width = channels // divisor * divisor
    while (resource := resource_of(width)) >= constraint and width > divisor:
        width -= divisor
    return width, resource


def choose(proposals: Sequence[Proposal], before: Proposal) -> Proposal | None:
    """Gives the proposal that loses least accuracy per resource saved; None if none saves anything.

    Args:
        proposals: Of one iteration.
        before: The network that they narrow.
    """

    def ratio(proposal: Proposal) -> float:
        lost = proposal.score - before.score + 1e-6
        return lost / (before.resource - proposal.resource + 1e-5) if math.isfinite(lost) else math.inf

    saving = [proposal for proposal in proposals if proposal.resource < before.resource]
    return min(saving, key=ratio, default=None)


def candidates(
    structure: Structure, kept: Kept, resource: Resource, constraint: float, divisor: int
) -> list[Candidate]:
    """Gives what an iteration tries: every group that meets the constraint alone, or if none does all that shrink."""
    found = []
    for index, stays in enumerate(kept):
        if stays.sum() > divisor:

            def resource_of(width: int, index: int = index) -> float:
                return resource.measure(surgery.shapes_of(structure, _narrowed(kept, index, width)))

            width, amount = choose_width(resource_of, int(stays.sum()), constraint, divisor)
            found.append(Candidate(index, width, amount))
    return [candidate for candidate in found if candidate.resource < constraint] or found


def smallest(structure: Structure, resource: Resource, divisor: int) -> float:
    """Gives the amount that the network needs with every group at its smallest width."""
    return resource.measure(surgery.shapes_of(structure, surgery.keep_first(structure, divisor)))


def same_share(
    structure: Structure, tensors: Mapping[str, Any], resource: Resource, target: float, divisor: int
) -> list[surgery.Stays]:
    """Prunes without a search: keeps the same share of every group, the largest that meets the target.

    Args:
        structure: Of the network.
        tensors: Its variables by path; the channels with the largest weights stay.
        resource: To save.
        target: Amount to get to; at least `smallest`.
        divisor: Widths are multiples of it.
    """
    for share in np.linspace(1, 0, 201):
        widths = [max(divisor, round(group.channels * share / divisor) * divisor) for group in structure.groups]
        kept = [
            surgery.strongest(group, tensors, np.ones(group.channels, bool), width)
            for group, width in zip(structure.groups, widths, strict=True)
        ]
        if resource.measure(surgery.shapes_of(structure, kept)) <= target:
            return kept
    raise AssertionError("a target below the smallest amount")


def check_target(structure: Structure, resource: Resource, settings: Settings) -> None:
    """Refuses a target that no search reaches.

    Raises:
        UserError: If it is not below what the network needs, below what the narrowest one needs, or the steps of the
            schedule do not add up to it.
    """
    current = resource.measure(structure.shapes)
    if not settings.target < current:
        raise UserError(f"the target is {resource.tell(settings.target)}, the network has {resource.tell(current)} now")
    least = smallest(structure, resource, settings.divisor)
    if settings.target < least:
        raise UserError(
            f"the target is {resource.tell(settings.target)}, but with {settings.divisor} channels in every group the "
            f"network still has {resource.tell(least)}; give at least that"
        )
    share = settings.first_step / (1 - settings.decay) if settings.decay < 1 else math.inf
    if (1 - share) * current >= settings.target:
        raise UserError(
            f"steps of {settings.first_step:.2%} that shrink by {settings.decay} save {share:.1%} at most, the target "
            f"asks for {1 - settings.target / current:.1%}; give a larger --first_step or --decay"
        )


def history(proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Gives the start, then the choice of every iteration; the last one must be complete."""
    before, *rest = proposals
    yield before
    for _, tried in itertools.groupby(rest, key=lambda proposal: proposal.iteration):
        chosen = choose(list(tried), before)
        assert chosen is not None, "an iteration without a choice ends the search"
        yield chosen
        before = chosen


def _narrowed(kept: Kept, index: int, width: int) -> Kept:
    """As many channels as a group of that width keeps; which ones makes no difference to the shapes."""
    changed = list(kept)
    changed[index] = np.arange(len(kept[index])) < width
    return changed
