"""The search itself: proposals in, a narrower network out; it goes on where it was stopped."""

import dataclasses
import itertools
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.data.types import Data
from mdepth_jax.errors import UserError
from mdepth_jax.files import write_json
from mdepth_jax.models import DepthNet, Header, TrainingRun
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.models.weights import save_weights
from mdepth_jax.models.widths import describe
from mdepth_jax.pruning import netadapt, surgery
from mdepth_jax.pruning.channels import Structure
from mdepth_jax.pruning.netadapt import Candidate, Proposal, Settings
from mdepth_jax.pruning.resources import Resource
from mdepth_jax.training import environment, hosts
from mdepth_jax.training.checkpoint import Checkpoints
from mdepth_jax.training.evaluation import evaluate
from mdepth_jax.training.interrupt import Interrupt
from mdepth_jax.training.logbook import append, read_lines, rewrite
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_optimizer
from mdepth_jax.training.provenance import describe_output
from mdepth_jax.training.state import TrainState, create_state
from mdepth_jax.training.step import make_eval_step, make_train_step, make_training_mesh, replicate, teach

SUFFIX = "_pruned"  # of the run's name: the network is another


class Subject(NamedTuple):
    """What is pruned, and what for.

    Attributes:
        model: The network, without heads.
        header: Header of its weights.
        run_config: Of the run that made it; the pruned run gets it.
        config: What the search goes by: other data may choose between proposals.
        structure: Of the network.
        resource: To save.
        settings: Of the search, with the target.
    """

    model: DepthNet
    header: Header
    run_config: ConfigDict
    config: ConfigDict
    structure: Structure
    resource: Resource
    settings: Settings


class Search:
    """Searches, or goes on with what the directory holds; after every iteration its network lies there as a run.

    A killed search repeats at most one proposal, and gives what an unbroken one does.

    Args:
        subject: What is pruned, and how.
        objective: Computes the losses of the short training, whose weights stay as they are.
        data: Of the run.
        teacher: Gives depth and features of a batch of images on the devices; None for none.
        workdir: Where everything is written.
    """

    def __init__(
        self,
        subject: Subject,
        objective: Objective,
        data: Data,
        teacher: Callable[[Any], Prediction] | None,
        workdir: pathlib.Path,
    ) -> None:
        model, self.header, self.run_config, config, self.structure, self.resource, settings = subject
        self.config, self.settings = config, settings
        self.data, self.teacher, self.workdir = data, teacher, workdir
        self.mesh = make_training_mesh(config.data.batch_size)
        steady = config.copy_and_resolve_references()
        steady.rebalance.order = "off"
        weights = objective.initial_weights(config.loss.weights.to_dict())
        rate = optax.constant_schedule(settings.learning_rate)
        optimizer = make_optimizer(steady, weights, rate, data.steps_per_epoch)
        self.graph, state = create_state(model, optimizer)
        per_loss = OPTIMIZERS[config.optim.optimizer].takes_loss_gradients
        self.train_step = make_train_step(self.graph, optimizer, objective, gradient_per_loss=per_loss)
        self.eval_step = make_eval_step(self.graph)
        self.begin = make_begin(optimizer)
        self.checkpoints = Checkpoints(workdir)
        self.kept: surgery.Kept = self.whole
        self._pairs = self._depth_maps = 0  # of an evaluation, if this process made one
        self.state = self._snapshot(0, state.params, state.batch_stats)
        self._resume()

    @property
    def iteration(self) -> int:
        """Number of iterations done."""
        return int(self.state.step)

    @property
    def whole(self) -> surgery.Kept:
        """All channels of the network at the start."""
        return surgery.keep_all(self.structure)

    def proposals_of(self, iteration: int) -> list[Proposal]:
        """Gives what an iteration has tried so far."""
        return [proposal for proposal in self.proposals if proposal.iteration == iteration]

    @property
    def history(self) -> list[Proposal]:
        """The network at the start, and what every iteration done chose."""
        return list(netadapt.history([proposal for proposal in self.proposals if proposal.iteration <= self.iteration]))

    def run(self) -> bool:
        """Searches until the target is met; False after an interrupt, after which the same search goes on."""
        with Interrupt() as interrupt:
            if not self.proposals:
                self._try(Candidate(-1, 0, self.resource.measure(self.structure.shapes)), [])
            while self.history[-1].resource > self.settings.target:
                if not self._iterate(interrupt):
                    break
        self.checkpoints.close()
        return self.history[-1].resource <= self.settings.target

    def _iterate(self, interrupt: Interrupt) -> bool:
        """Does what is left of an iteration; False after an interrupt."""
        start, current = self.history[0], self.history[-1]
        number, settings = self.iteration + 1, self.settings
        constraint = netadapt.next_constraint(current.resource, start.resource, number, settings)
        tries = netadapt.candidates(self.structure, self.kept, self.resource, constraint, settings.divisor)
        batches = itertools.islice(self.data.train(self.iteration * settings.short_steps), settings.short_steps)
        taught = [teach(batch, self.mesh, self.teacher) for batch in batches]
        done = {proposal.group for proposal in self.proposals_of(number)}
        more = netadapt.iterations_left(constraint, start.resource, number, settings)
        title = f"iteration {number} of about {number + more}, {self._tell(current)}"
        with tqdm.tqdm(total=len(tries), initial=len(done), desc=title, unit="proposal", dynamic_ncols=True) as bar:
            for candidate in tries:
                if candidate.group in done:
                    continue
                proposal = self._try(candidate, taught)
                left = proposal.seconds * (len(tries) - bar.n - 1 + len(tries) * more)
                bar.set_postfix_str(f"about {left / 60:.0f} min left in all", refresh=False)
                bar.update()
                if hosts.any_host(interrupt.requested):
                    return False
        chosen = netadapt.choose(self.proposals_of(number), current)
        if chosen is None:
            raise UserError(f"no group of channels can be narrowed any more at {self._tell(current)}")
        self.kept = self._narrow(chosen)
        self.state = self._snapshot(number, *self._fine_tune(self.kept, taught))
        self.checkpoints.save(self.state)
        self.checkpoints.wait()
        self.export()
        tqdm.tqdm.write(f"iteration {number}: {chosen.layer} has {chosen.width} channels now, {self._tell(chosen)}")
        return True

    def export(self) -> None:
        """Writes the network so far as an ordinary run."""
        score = {self.config.train.best_by: self.history[-1].score}
        measured = Header(scores=score, pairs=self._pairs, depth_maps=self._depth_maps)
        own = self.run_config.data.eval == self.config.data.eval
        write_run(self.workdir, self.cut(), self.run_config, self.header.lineage, measured if own else None)

    def cut(self) -> DepthNet:
        """Gives the network so far, cut out."""
        model = nnx.merge(self.graph, self.state.params, self.state.batch_stats)
        return surgery.cut(model, self.structure, self.kept)

    def _try(self, candidate: Candidate, batches: list[Any]) -> Proposal:
        """Trains a network for a few steps, scores it and writes that down."""
        start = time.monotonic()
        index = candidate.group
        layer = self.structure.groups[index].name if index >= 0 else ""
        kept = self._narrow(candidate) if index >= 0 else self.kept
        score = self._score(*self._fine_tune(kept, batches))
        number = self.iteration + 1 if index >= 0 else 0
        took = time.monotonic() - start
        proposal = Proposal(number, index, layer, candidate.width, candidate.resource, score, took)
        self.proposals.append(proposal)
        append(self._file, proposal._asdict())
        return proposal

    def _narrow(self, candidate: Candidate | Proposal) -> surgery.Kept:
        kept, index = list(self.kept), candidate.group
        group, tensors = self.structure.groups[index], self._tensors()
        kept[index] = surgery.strongest(group, tensors, kept[index], candidate.width)
        return kept

    def _fine_tune(self, kept: surgery.Kept, batches: list[Any]) -> tuple[Any, Any]:
        found = surgery.masks(self.structure, kept)
        names = [".".join(map(str, path)) for path, _ in self.state.params.flat_state()]
        mask = jax.tree.unflatten(jax.tree.structure(self.state.params), [found[name] for name in names])
        state = replicate(self.begin(self.state.params, self.state.batch_stats, mask), self.mesh)
        for batch in batches:
            state, _ = self.train_step(state, batch)
        return state.params, state.batch_stats

    def _score(self, params: Any, batch_stats: Any) -> float:
        result = evaluate(
            lambda batch: self.eval_step(params, batch_stats, batch),
            itertools.islice(self.data.evaluate(), self.settings.evaluation_batches or None),
            self.mesh,
            self.data.truths and self.data.truths(),
            log=self.config.data.log,
        )
        self._pairs, self._depth_maps = result.total, result.maps
        return result.scores[self.config.train.best_by]

    def _resume(self) -> None:
        restored = self.checkpoints.restore(self.state)
        if restored is not None:
            self.state = restored
            self.kept = [np.asarray(restored.opt_state[str(index)]) for index in range(len(self.kept))]
        self._file = self.workdir / "proposals.jsonl"
        known = [Proposal(**record) for record in read_lines(self._file)]
        self.proposals = [proposal for proposal in known if proposal.iteration <= self.iteration + 1]
        rewrite(self._file, [proposal._asdict() for proposal in self.proposals])

    def _snapshot(self, iteration: int, params: Any, batch_stats: Any) -> TrainState:
        """What a checkpoint holds: in the place of the optimizer, whose state no iteration passes on, what is kept."""
        kept = {str(index): jnp.asarray(stays) for index, stays in enumerate(self.kept)}
        return replicate(TrainState(jnp.asarray(iteration, jnp.int32), params, batch_stats, kept), self.mesh)

    def _tensors(self) -> dict[str, Any]:
        return {".".join(map(str, path)): variable[...] for path, variable in self.state.params.flat_state()}

    def _tell(self, proposal: Proposal) -> str:
        return f"{self.resource.tell(proposal.resource)}, {self.config.train.best_by} {proposal.score:.4f}"


def write_run(
    workdir: pathlib.Path,
    smaller: DepthNet,
    config: ConfigDict,
    earlier: Sequence[TrainingRun],
    measured: Header | None = None,
) -> None:
    """Writes a pruned network as an ordinary run: `model.safetensors` and `config.json`.

    Args:
        workdir: Directory of the run.
        smaller: The network, cut out.
        config: Of the run that was pruned; it stays as it is.
        earlier: Runs that its weights have been through, the first one first.
        measured: Header with the scores of the pruned network on the set of `config`; None if unknown.
    """
    config = config.copy_and_resolve_references()
    config.name = config.name.removesuffix(SUFFIX) + SUFFIX
    config.model.update({"heads": 0, "widths": describe(smaller), "pretrained": "", "start": ""})
    header = dataclasses.replace(
        measured or Header(),
        run=TrainingRun(environment.command(), config.to_dict()),
        earlier=tuple(earlier),
        output=describe_output(config),
    )
    save_weights(workdir / "model.safetensors", smaller, config.model, header)
    write_json(workdir / "config.json", config.to_dict())


def make_begin(optimizer: optax.GradientTransformation) -> Callable[[Any, Any, Any], TrainState]:
    """Makes the jitted function `(params, batch_stats, mask) -> state`: a training of what the mask leaves."""

    @jax.jit
    def begin(params: Any, batch_stats: Any, mask: Any) -> TrainState:
        params = jax.tree.map(lambda value, stays: jnp.where(stays, value, 0), params, mask)
        stats = jax.tree.map(jnp.copy, batch_stats)
        return TrainState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params))

    return begin
