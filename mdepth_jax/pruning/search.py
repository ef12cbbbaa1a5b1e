"""The search of NetAdapt: iterations of proposals until the network meets the resource budget."""

import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import tqdm
from flax import nnx

from mdepth_jax.errors import UserError
from mdepth_jax.models import DepthNet, Header
from mdepth_jax.models.score import Score, make_scores
from mdepth_jax.pruning import netadapt, surgery
from mdepth_jax.pruning.netadapt import Proposal, Simplification
from mdepth_jax.pruning.pruned_run import save_pruned_run
from mdepth_jax.pruning.short_term import ShortTermTrainer
from mdepth_jax.pruning.surgery import Kept
from mdepth_jax.pruning.task import PruningTask
from mdepth_jax.training import hosts
from mdepth_jax.training.checkpoint import Checkpoints
from mdepth_jax.training.evaluation import Evaluation
from mdepth_jax.training.interrupt import Interrupt
from mdepth_jax.training.logbook import append_record, read_records, write_records
from mdepth_jax.training.provenance import make_protocols
from mdepth_jax.training.state import TrainState
from mdepth_jax.training.step import replicate


class Search:
    """A search, resumed from what its directory holds; after every iteration its network is saved there as a run.

    A killed search repeats at most one proposal, and its result is that of an uninterrupted one.

    Args:
        task: Network to prune, resource budget and settings.
        trainer: Short-term fine-tune and evaluation of proposals.
        workdir: Directory of the pruned run.

    Attributes:
        proposals: All proposals so far, the initial network first.
        kept: Channels of every group that the network so far keeps.
        state: State after the last iteration: step is the number of iterations, parameters and batch statistics are
            those of the full network.
    """

    def __init__(self, *, task: PruningTask, trainer: ShortTermTrainer, workdir: pathlib.Path) -> None:
        self.task, self.trainer, self.workdir = task, trainer, workdir
        self.checkpoints = Checkpoints(workdir)
        self.kept: Kept = surgery.keep_all(task.structure)
        self.state = self._make_state(0, trainer.initial_params, trainer.initial_batch_stats)
        self.proposals: list[Proposal] = []
        self._file = workdir / "proposals.jsonl"
        self._evaluation: Evaluation | None = None  # the last one of this process
        self._resume()

    @property
    def iteration(self) -> int:
        """Number of complete iterations."""
        return int(self.state.step)

    @property
    def history(self) -> list[Proposal]:
        """The initial network and the proposal that each complete iteration picked."""
        complete = [proposal for proposal in self.proposals if proposal.iteration <= self.iteration]
        return list(netadapt.picked_proposals(complete))

    @property
    def metric(self) -> str:
        """Name of the score."""
        return self.task.config.train.best_by

    def proposals_of(self, iteration: int) -> list[Proposal]:
        """Returns the proposals of an iteration so far."""
        return [proposal for proposal in self.proposals if proposal.iteration == iteration]

    def run(self) -> bool:
        """Searches until the budget is met; False after an interrupt, after which the same search can be resumed."""
        with Interrupt() as interrupt:
            if not self.proposals:
                self._evaluate_initial()
            while not self._budget_is_met() and self._iterate(interrupt):
                pass
        self.checkpoints.close()
        return self._budget_is_met()

    def pruned_model(self) -> DepthNet:
        """Returns the network so far without the removed channels."""
        model = nnx.merge(self.trainer.graph, self.state.params, self.state.batch_stats)
        return surgery.remove_channels(model, self.task.structure, self.kept)

    def save_run(self) -> None:
        """Saves the network so far as an ordinary run, with its score on the validation set."""
        task = self.task
        save_pruned_run(
            self.workdir,
            self.pruned_model(),
            config=task.run_config,
            earlier=task.header.lineage,
            data_sets=task.data_sets,
            scores=Header(scores=self._describe_score(self.history[-1].score)),
        )

    def _describe_score(self, value: float) -> dict[str, Score]:
        """Returns the score with its origin."""
        val, evaluation = self.trainer.val, self._evaluation
        ordinal, dense = make_protocols(self.task.config)
        part = " (a part)" if self.task.settings.evaluation_batches else ""
        return make_scores(
            {self.metric: value},
            pairs=evaluation.total if evaluation else 0,
            depth_maps=evaluation.maps if evaluation else 0,
            data=val.info,
            split=val.split + part,
            ordinal=ordinal,
            dense=dense,
        )

    def _budget_is_met(self) -> bool:
        return self.history[-1].resource <= self.task.settings.budget

    def _evaluate_initial(self) -> None:
        start = time.monotonic()
        score = self._fine_tune_and_score(self.kept, [])
        amount = self.task.resource.measure(self.task.structure.shapes)
        seconds = time.monotonic() - start
        self._record(Proposal(iteration=0, group=-1, layer="", width=0, resource=amount, score=score, seconds=seconds))

    def _iterate(self, interrupt: Interrupt) -> bool:
        """Runs the rest of an iteration; False after an interrupt."""
        number, settings = self.iteration + 1, self.task.settings
        initial, current = self.history[0], self.history[-1]
        constraint = netadapt.next_constraint(current.resource, initial.resource, number, settings)
        simplifications = netadapt.list_simplifications(
            self.task.structure, self.kept, self.task.resource, constraint, settings.divisor
        )
        batches = self.trainer.load_batches(self.iteration)
        left = netadapt.count_iterations(constraint, initial.resource, number, settings)
        if not self._propose(simplifications, batches, interrupt, iterations_left=left):
            return False
        picked = netadapt.pick_proposal(self.proposals_of(number), current)
        if picked is None:
            raise UserError(f"no group of channels can be narrowed any more at {self._describe(current)}")
        self._accept(picked, batches)
        return True

    def _propose(
        self,
        simplifications: Sequence[Simplification],
        batches: Sequence[Any],
        interrupt: Interrupt,
        *,
        iterations_left: int,
    ) -> bool:
        """Tries the simplifications that the iteration has not tried yet; False after an interrupt."""
        number, count = self.iteration + 1, len(simplifications)
        done = {proposal.group for proposal in self.proposals_of(number)}
        title = f"iteration {number} of about {number + iterations_left}, {self._describe(self.history[-1])}"
        with tqdm.tqdm(total=count, initial=len(done), desc=title, unit="proposal", dynamic_ncols=True) as bar:
            for simplification in simplifications:
                if simplification.group in done:
                    continue
                proposal = self._try(simplification, batches)
                left = proposal.seconds * (count - bar.n - 1 + count * iterations_left)
                bar.set_postfix_str(f"about {left / 60:.0f} min left in all", refresh=False)
                bar.update()
                if hosts.any_host(interrupt.requested):
                    return False
        return True

    def _try(self, simplification: Simplification, batches: Sequence[Any]) -> Proposal:
        """Fine-tunes, scores and records one proposal."""
        start = time.monotonic()
        index, width = simplification.group, simplification.width
        score = self._fine_tune_and_score(self._narrow(index, width), batches)
        proposal = Proposal(
            iteration=self.iteration + 1,
            group=index,
            layer=self.task.structure.groups[index].name,
            width=width,
            resource=simplification.resource,
            score=score,
            seconds=time.monotonic() - start,
        )
        self._record(proposal)
        return proposal

    def _accept(self, picked: Proposal, batches: Sequence[Any]) -> None:
        """Fine-tunes the picked proposal again, and makes it the network of the next iteration."""
        self.kept = self._narrow(picked.group, picked.width)
        tuned = self.trainer.fine_tune(self.state.params, self.state.batch_stats, self.kept, batches)
        self.state = self._make_state(picked.iteration, *tuned)
        self.checkpoints.save(self.state)
        self.checkpoints.wait()
        self.save_run()
        tqdm.tqdm.write(
            f"iteration {picked.iteration}: {picked.layer} has {picked.width} channels now, {self._describe(picked)}"
        )

    def _narrow(self, index: int, width: int) -> Kept:
        """Keeps the `width` most important channels of one group."""
        kept = list(self.kept)
        tensors = {".".join(map(str, path)): value[...] for path, value in self.state.params.flat_state()}
        kept[index] = surgery.keep_most_important(self.task.structure.groups[index], tensors, kept[index], width)
        return kept

    def _fine_tune_and_score(self, kept: Kept, batches: Sequence[Any]) -> float:
        tuned = self.trainer.fine_tune(self.state.params, self.state.batch_stats, kept, batches)
        self._evaluation = self.trainer.evaluate(*tuned)
        return self._evaluation.scores[self.metric]

    def _record(self, proposal: Proposal) -> None:
        self.proposals.append(proposal)
        append_record(self._file, dataclasses.asdict(proposal))

    def _resume(self) -> None:
        restored = self.checkpoints.restore(self.state)
        if restored is not None:
            self.state = restored
            self.kept = [np.asarray(restored.opt_state[str(index)]) for index in range(len(self.kept))]
        known = [Proposal(**record) for record in read_records(self._file)]
        self.proposals = [proposal for proposal in known if proposal.iteration <= self.iteration + 1]
        write_records(self._file, [dataclasses.asdict(proposal) for proposal in self.proposals])

    def _make_state(self, iteration: int, params: Any, batch_stats: Any) -> TrainState:
        """Creates the content of a checkpoint, with the kept channels in the place of an optimizer's state."""
        kept = {str(index): jnp.asarray(mask) for index, mask in enumerate(self.kept)}
        step = jnp.asarray(iteration, jnp.int32)
        return replicate(TrainState(step, params, batch_stats, kept), self.trainer.mesh)

    def _describe(self, proposal: Proposal) -> str:
        return f"{self.task.resource.format(proposal.resource)}, {self.metric} {proposal.score:.4f}"
