"""The decisions of NetAdapt (Yang et al. 2018, Algorithm 1), which narrows a network until it meets a resource budget.

The constraint on the resource tightens from one iteration to the next. A proposal of an iteration simplifies one group
of channels just enough to meet the constraint and gets a short-term fine-tune. The proposal that loses least accuracy
per resource saved is the network that the next iteration starts from. A long-term fine-tune follows the search.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdepth_jax.errors import UserError
from mdepth_jax.pruning import surgery
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.resources import Resource
from mdepth_jax.pruning.surgery import Kept

DIVISOR = 8  # phones compute eight channels at once


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a search.

    Attributes:
        budget: Resource budget, the amount that the pruned network may need.
        first_step: Reduction in the first iteration as a share of the initial amount.
        decay: Factor on the reduction from one iteration to the next.
        divisor: Divisor of all widths; also the smallest width.
        short_steps: Training steps of the short-term fine-tune of a proposal.
        learning_rate: Learning rate of the short-term fine-tune.
        evaluation_batches: Number of validation batches that score a proposal; 0 for all.

    Raises:
        UserError: If a value is out of range.
    """

    budget: float
    first_step: float = 0.025
    decay: float = 0.96
    divisor: int = DIVISOR
    short_steps: int = 20
    learning_rate: float = 1e-4
    evaluation_batches: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.first_step < 1 and 0 < self.decay <= 1):
            raise UserError("`first_step` must lie between 0 and 1, `decay` above 0 and at most at 1")
        if self.short_steps < 1 or self.learning_rate <= 0 or self.evaluation_batches < 0:
            raise UserError("`short_steps` and `learning_rate` must be positive, `evaluation_batches` 0 or more")


@dataclass(frozen=True, kw_only=True)
class Simplification:
    """A group of channels to narrow.

    Attributes:
        group: Index of the group in the structure.
        width: Number of channels to keep.
        resource: Amount of the resource that the network then needs.
    """

    group: int
    width: int
    resource: float


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A simplified network with its score, or the initial network.

    Attributes:
        iteration: Iteration that made the proposal, from 1; 0 for the initial network.
        group: Index of the narrowed group in the structure; -1 for the initial network.
        layer: Name of the narrowed group; empty for the initial network.
        width: Number of channels that the group keeps; 0 for the initial network.
        resource: Amount of the resource that the network needs.
        score: Score on the validation set, lower is better.
        seconds: Time that fine-tuning and evaluation took in seconds.
    """

    iteration: int
    group: int
    layer: str
    width: int
    resource: float
    score: float
    seconds: float


def next_constraint(current: float, initial: float, iteration: int, settings: Settings) -> float:
    """Computes the constraint of an iteration: the resource reduction decays, the budget is the last constraint.

    Args:
        current: Amount that the network needs before the iteration.
        initial: Amount that the initial network needs.
        iteration: Number of the iteration, from 1.
        settings: Settings of the search.
    """
    reduction = settings.first_step * initial * settings.decay ** (iteration - 1)
    return max(current - reduction, settings.budget)


def count_iterations(current: float, initial: float, iteration: int, settings: Settings) -> int:
    """Counts the iterations after `iteration` until the budget is met, if each one just meets its constraint.

    Args:
        current: Amount that the network needs after the iteration.
        initial: Amount that the initial network needs.
        iteration: Number of the iteration, from 1.
        settings: Settings of the search.
    """
    for number in itertools.count():
        if current <= settings.budget:
            return number
        current = next_constraint(current, initial, iteration + number + 1, settings)
    raise AssertionError


def choose_width(
    resource_of: Callable[[int], float], channels: int, constraint: float, divisor: int
) -> tuple[int, float]:
    """Chooses the largest multiple of `divisor` that meets the constraint, or the smallest if none does.

    Args:
        resource_of: Function from a width to the amount that the network then needs.
        channels: Width so far, at least `divisor`.
        constraint: Amount to stay below.
        divisor: Divisor of the width; also the smallest width.

    Returns:
        The width and the amount that the network then needs.
    """
    width = channels // divisor * divisor
    while (resource := resource_of(width)) >= constraint and width > divisor:
        width -= divisor
    return width, resource


def list_simplifications(
    structure: Structure, kept: Kept, resource: Resource, constraint: float, divisor: int
) -> list[Simplification]:
    """Lists the simplifications of an iteration: one for each group that can meet the constraint alone.

    If no group can, every group that can become narrower is simplified as far as possible.

    Args:
        structure: Structure of the full network.
        kept: Channels of every group that are kept so far.
        resource: Resource to save.
        constraint: Amount of the resource to stay below.
        divisor: Divisor of all widths; also the smallest width.
    """
    found = []
    for index, mask in enumerate(kept):
        if mask.sum() > divisor:

            def resource_of(width: int, index: int = index) -> float:
                return resource.measure(surgery.pruned_shapes(structure, _narrow(kept, index, width)))

            width, amount = choose_width(resource_of, int(mask.sum()), constraint, divisor)
            found.append(Simplification(group=index, width=width, resource=amount))
    return [simplification for simplification in found if simplification.resource < constraint] or found


def _narrow(kept: Kept, index: int, width: int) -> Kept:
    """Keeps `width` channels of one group, any of them: the shapes are the same."""
    narrowed = list(kept)
    narrowed[index] = np.arange(len(kept[index])) < width
    return narrowed


def pick_proposal(proposals: Sequence[Proposal], current: Proposal) -> Proposal | None:
    """Picks the proposal that loses least accuracy per resource saved.

    Args:
        proposals: Proposals of one iteration.
        current: Network that they simplify.

    Returns:
        The proposal; None if none saves anything.
    """

    def ratio(proposal: Proposal) -> float:
        lost = proposal.score - current.score + 1e-6
        return lost / (current.resource - proposal.resource + 1e-5) if math.isfinite(lost) else math.inf

    saving = [proposal for proposal in proposals if proposal.resource < current.resource]
    return min(saving, key=ratio, default=None)


def picked_proposals(proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Yields the initial network, then the proposal that each iteration picked.

    Args:
        proposals: The initial network and all proposals of complete iterations, in order.
    """
    current, *rest = proposals
    yield current
    for _, tried in itertools.groupby(rest, key=lambda proposal: proposal.iteration):
        picked = pick_proposal(list(tried), current)
        assert picked is not None, "an iteration that picks nothing ends the search"
        yield picked
        current = picked


def prune_evenly(
    structure: Structure, tensors: Mapping[str, Any], resource: Resource, settings: Settings
) -> list[surgery.ChannelMask]:
    """Chooses channels without a search: the same share of every group, the largest that meets the budget.

    Args:
        structure: Structure of the network.
        tensors: Variables of the network by path; the most important channels are kept.
        resource: Resource to save.
        settings: Settings with a budget that the smallest network meets.
    """
    divisor = settings.divisor
    for share in np.linspace(1, 0, 201):
        widths = [max(divisor, round(group.channels * share / divisor) * divisor) for group in structure.groups]
        kept = [
            surgery.keep_most_important(group, tensors, mask, width)
            for group, mask, width in zip(structure.groups, surgery.keep_all(structure), widths, strict=True)
        ]
        if resource.measure(surgery.pruned_shapes(structure, kept)) <= settings.budget:
            return kept
    raise AssertionError("the budget is below what the smallest network needs")


def measure_smallest(structure: Structure, resource: Resource, divisor: int) -> float:
    """Returns the amount that the network needs with every group at its smallest width."""
    return resource.measure(surgery.pruned_shapes(structure, surgery.keep_first(structure, divisor)))


def check_budget(structure: Structure, resource: Resource, settings: Settings) -> None:
    """Checks that a search can meet the budget.

    Raises:
        UserError: If the budget is not below what the network needs, is below what the smallest network needs, or the
            reductions of all iterations do not add up to it.
    """
    budget, current = settings.budget, resource.measure(structure.shapes)
    if not budget < current:
        raise UserError(f"the target is {resource.format(budget)}, the network has {resource.format(current)} now")
    smallest = measure_smallest(structure, resource, settings.divisor)
    if budget < smallest:
        raise UserError(
            f"the target is {resource.format(budget)}, but with {settings.divisor} channels in every group the "
            f"network still has {resource.format(smallest)}; give at least that"
        )
    share = settings.first_step / (1 - settings.decay) if settings.decay < 1 else math.inf
    if (1 - share) * current >= budget:
        raise UserError(
            f"steps of {settings.first_step:.2%} that shrink by {settings.decay} save {share:.1%} at most, the target "
            f"asks for {1 - budget / current:.1%}; give a larger `first_step` or `decay`"
        )
