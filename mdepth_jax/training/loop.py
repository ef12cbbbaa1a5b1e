"""The training loop: batches in; checkpoints, metrics, weights and pictures out."""

import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import PIL.Image
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax import plots
from mdepth_jax.data.types import Data, EvalSet
from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path
from mdepth_jax.models import DepthNet, Header, TrainingRun
from mdepth_jax.models.score import Score
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.models.weights import WITH_HEADS, WITHOUT_HEADS, replace_scores, save_weights, start_from
from mdepth_jax.training import environment, hosts
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.checkpoint import Checkpoints
from mdepth_jax.training.evaluation import Evaluation, evaluate
from mdepth_jax.training.interrupt import Interrupt
from mdepth_jax.training.logbook import Logbook
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_optimizer, make_schedule
from mdepth_jax.training.provenance import default_alignment, describe_output, score_evaluation
from mdepth_jax.training.run_directory import bind_to_workdir
from mdepth_jax.training.state import create_state
from mdepth_jax.training.step import (
    add_teacher,
    local_rows,
    make_eval_step,
    make_train_step,
    make_training_mesh,
    replicate,
    shard_batch,
)
from mdepth_jax.training.windows import Clock, describe_window, event_steps

GRID_ROWS = 6

Scalars = Mapping[str, Any]


class Result(NamedTuple):
    """The end of a run.

    Attributes:
        step: Last step done.
        finished: Whether it reached its end; False after an interrupt.
        evaluation: Evaluation on the test set by this process; None if there was none.
        records: All records of `metrics.jsonl`.
    """

    step: int
    finished: bool
    evaluation: Evaluation | None
    records: list[dict[str, Any]]


class Trainer:
    """Trains a network, from its start or from the last checkpoint of the run directory.

    Losses are averaged over windows that end every `config.train.log_every` steps and wherever an evaluation is due.
    Evaluations and checkpoints happen at the ends of windows only, so a resumed run writes what an unbroken one does.
    Evaluations on the validation set choose the weights that are kept; without one these are the last. The test set is
    read once, at the end, for the scores of those weights.
    On several hosts each of them creates a `Trainer` on one shared run directory, which the first one writes.

    Args:
        config: Complete configuration.
        workdir: Path of the run directory.
        model: Network at its start.
        objective: Objective of the run.
        data: Batches of all sets.
        teacher: Function from a batch of images on the devices to depth and features; None without a teacher.
        adversary: Discriminator of the holistic term; None without that term.
        earlier: Runs that the network's weights have been through, the first one first.

    Attributes:
        step: Number of steps done.
        total_steps: Length of the run.

    Raises:
        UserError: If the devices cannot share the batch, or the run directory belongs to another configuration or
            network.
    """

    def __init__(
        self,
        *,
        config: ConfigDict,
        workdir: pathlib.Path,
        model: DepthNet,
        objective: Objective,
        data: Data,
        teacher: Callable[[Any], Prediction] | None = None,
        adversary: Adversary | None = None,
        earlier: Sequence[TrainingRun] = (),
    ) -> None:
        self.config, self.workdir, self.data = config, workdir, data
        self.objective, self.teacher, self.earlier = objective, teacher, tuple(earlier)
        self.mesh = make_training_mesh(config.data.batch_size)
        bind_to_workdir(config, workdir, writes=hosts.is_first())
        epochs, steps_per_epoch = config.train.epochs, data.steps_per_epoch
        self.total_steps = epochs * steps_per_epoch
        self.schedule = make_schedule(config.optim, steps_per_epoch, epochs)
        weights = objective.initial_weights(config.loss.weights.to_dict())
        optimizer = make_optimizer(config, weights, self.schedule, steps_per_epoch)
        self.graph, state = create_state(model, optimizer, adversary)
        state = replicate(state, self.mesh)
        self.checkpoints = Checkpoints(workdir)
        self.state = self.checkpoints.restore(state) or state
        self.step = int(self.state.step)
        per_loss = OPTIMIZERS[config.optim.optimizer].takes_loss_gradients
        self.train_step = make_train_step(self.graph, optimizer, objective, adversary, gradient_per_loss=per_loss)
        self.eval_step = make_eval_step(self.graph)
        self.book = Logbook(workdir, self.step, self.total_steps, writes=hosts.is_first())
        self.evaluation: Evaluation | None = None
        self._best_by = f"val/{config.train.best_by}"
        self._events = event_steps(steps_per_epoch, config.train.evaluations_per_epoch)

    @property
    def model(self) -> DepthNet:
        """Network in its present state."""
        return nnx.merge(self.graph, self.state.params, self.state.batch_stats)

    def run(self) -> Result:
        """Trains to the end, or to an interrupt, after which the same call in a new process resumes.

        Raises:
            UserError: If a loss is no longer finite; the message names the step and the last good checkpoint.
        """
        with Interrupt() as interrupt:
            if self._evaluation_due() and not self._evaluated():  # the interrupt came before it
                self._evaluate()
            self._train(interrupt)
        self.checkpoints.close()
        if self.step == self.total_steps and self._evaluated() and not self._tested():
            self._test()
        self.book.close()
        return Result(self.step, self._tested(), self.evaluation, self.book.records)

    def _train(self, interrupt: Interrupt) -> None:
        window: list[Scalars] = []
        clock = Clock()
        saved_at = time.monotonic()
        batches = self.data.train(self.step)
        while self.step < self.total_steps:
            with clock.waiting():
                batch = next(batches)
            self.state, scalars = self.train_step(self.state, add_teacher(batch, self.mesh, self.teacher))
            window.append(scalars)
            self.step += 1
            due = self._evaluation_due()
            if not due and self.step % self.config.train.log_every:
                continue
            self._close_window(window, clock)
            window, clock = [], Clock()
            stop = hosts.any_host(interrupt.requested)
            if due and not stop:
                self._evaluate()
            elapsed = hosts.any_host(time.monotonic() - saved_at > 60 * self.config.train.save_minutes)
            if due or stop or elapsed:
                self.checkpoints.save(self.state)
                saved_at = time.monotonic()
            if stop:
                break

    def _evaluation_due(self) -> bool:
        return self.step > 0 and (self.step - 1) % self.data.steps_per_epoch + 1 in self._events

    def _evaluated(self) -> bool:
        known = (record["step"] == self.step and self._best_by in record for record in self.book.records)
        return self.data.val is None or any(known)

    def _tested(self) -> bool:
        return any(name.startswith("test/") for record in self.book.records for name in record)

    def _close_window(self, window: Sequence[Scalars], clock: Clock) -> None:
        """Records the means of a window of steps."""
        values = jax.device_get(window)
        self._check_finite(values)
        means = {name: float(np.mean([scalars[name] for scalars in values], dtype=np.float64)) for name in values[0]}
        means["learning_rate"] = float(self.schedule(self.step - 1))
        seconds, waited = clock.read()
        speed = {
            "time/steps_per_second": len(values) / seconds,
            "time/images_per_second": len(values) * self.config.data.batch_size / seconds,
            "time/data_wait": waited / seconds,
        }
        self.book.write(self.step, means | speed)
        self.book.advance(len(values), describe_window(means | speed))

    def _check_finite(self, window: Sequence[Scalars]) -> None:
        for step, scalars in enumerate(window, start=self.step - len(window) + 1):
            if broken := [name for name, value in scalars.items() if not np.isfinite(value)]:
                self.checkpoints.close()
                self.book.close()
                kept = self.checkpoints.latest_step()
                raise UserError(
                    f"step {step}: {', '.join(broken)} not finite; "
                    + (f"checkpoint {kept} is kept" if kept else "there is no checkpoint yet")
                    + f" in {self.workdir}; lower `config.optim.learning_rate` or look at that batch"
                )

    def _evaluate(self) -> None:
        """Evaluates on the validation set; writes the scores, the pictures and, if they are the best, the weights.

        Without a validation set only the weights are written.
        """
        if self.data.val is None:
            self._save_weights({})
            return
        result = self._score(self.state.params, self.state.batch_stats, self.data.val)
        scores = {f"val/{name}": score for name, score in result.scores.items()}
        if self._best_by not in scores:
            raise UserError(
                f"`config.train.best_by` is {self.config.train.best_by!r}, but the validation set has no "
                + ("pairs; choose rmse" if "whdr" in self._best_by else "depth maps; choose whdr")
            )
        best = min((record[self._best_by] for record in self.book.records if self._best_by in record), default=math.inf)
        self.book.write(self.step, scores)
        self._say(result, f"epoch {self.step / self.data.steps_per_epoch:.4g}, step {self.step}")
        self._draw(result)
        if scores[self._best_by] < best:
            self._save_weights(self._describe(result, self.data.val, self.step))

    def _test(self) -> None:
        """Evaluates the weights that are kept on the test set, and writes their scores and pictures."""
        if self.data.val is None:
            self._save_weights({})
        hosts.wait_for_all(f"weights of {self.workdir}")
        model = self.model
        header = start_from(model, self.workdir).header
        parts: tuple[Any, ...] = nnx.split(model, nnx.Param, nnx.BatchStat)
        params, batch_stats = replicate(parts[1:], self.mesh)
        result = self._score(params, batch_stats, self.data.test)
        self.evaluation = result
        self._say(result, f"test set, weights of step {header.step}")
        self._draw(result)
        hosts.wait_for_all(f"test of {self.workdir}")
        if hosts.is_first():
            for name in (WITH_HEADS, WITHOUT_HEADS):
                if (self.workdir / name).exists():
                    replace_scores(self.workdir / name, self._describe(result, self.data.test, header.step))
        self.book.write(self.step, {f"test/{name}": score for name, score in result.scores.items()})

    def _score(self, params: Any, batch_stats: Any, held_out: EvalSet) -> Evaluation:
        return evaluate(
            lambda batch: self.eval_step(params, batch_stats, batch),
            held_out,
            self.mesh,
            log=self.config.data.log,
            align=default_alignment(self.config),
        )

    def _describe(self, result: Evaluation, held_out: EvalSet, step: int | None) -> dict[str, Score]:
        return score_evaluation(result, self.config, data=held_out.info, split=held_out.split, step=step)

    def _say(self, result: Evaluation, what: str) -> None:
        text = ", ".join(f"{name} {score:.4f}" for name, score in result.scores.items())
        self.book.say(f"{what}: {text} (n = {result.total} pairs, {result.maps} maps)")

    def _draw(self, result: Evaluation) -> None:
        if result.references is None and self.teacher is not None:
            images = shard_batch({"image": result.images}, self.mesh)["image"]
            result = result._replace(references=local_rows(self.teacher(images).depth))
        if not hosts.is_first():
            return
        references = None if result.references is None else result.references[:GRID_ROWS]
        grid = plots.prediction_grid(result.images[:GRID_ROWS], result.predictions[:GRID_ROWS], references)
        with atomic_path(self.workdir / "predictions.png") as path:
            PIL.Image.fromarray(grid).save(path)
        self.book.image(self.step, "predictions", grid)
        plots.save_curves(self.workdir / "curves.png", self.book.records)

    def _save_weights(self, scores: Mapping[str, Score]) -> None:
        if not hosts.is_first():
            return
        header = Header(
            run=TrainingRun(environment.command(), self.config.to_dict(), self.data.train_sets),
            earlier=self.earlier,
            output=describe_output(self.config),
            scores=scores,
            step=self.step,
            terms=tuple(term.name for term in self.objective.terms),
        )
        model = self.model
        if self.config.model.heads:
            save_weights(self.workdir / WITH_HEADS, model, self.config.model, header, heads=True)
        save_weights(self.workdir / WITHOUT_HEADS, model, self.config.model, header)
