"""The training loop: batches in; checkpoints, metrics, weights and pictures out."""

import contextlib
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import PIL.Image
from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax import plots
from mdepth_jax.data.types import Data
from mdepth_jax.errors import UserError
from mdepth_jax.files import atomic_path
from mdepth_jax.models import DepthNet, Header, TrainingRun
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.models.weights import save_weights
from mdepth_jax.training import environment, hosts
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.checkpoint import Checkpoints
from mdepth_jax.training.evaluation import Evaluation, evaluate
from mdepth_jax.training.interrupt import Interrupt
from mdepth_jax.training.logbook import Logbook
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_optimizer, make_schedule
from mdepth_jax.training.provenance import describe_output
from mdepth_jax.training.run_directory import bind_to_workdir
from mdepth_jax.training.state import create_state
from mdepth_jax.training.step import (
    local_rows,
    make_eval_step,
    make_train_step,
    make_training_mesh,
    replicate,
    shard_batch,
    teach,
)

GRID_ROWS = 6


class Result(NamedTuple):
    """How a run ended.

    Attributes:
        step: The last step done.
        finished: False if it was interrupted.
        evaluation: The last one; None if there was none in this process.
        records: All of `metrics.jsonl`.
    """

    step: int
    finished: bool
    evaluation: Evaluation | None
    records: list[dict[str, Any]]


class Trainer:
    """Trains a network, or goes on with what the run directory holds.

    Losses are averaged over windows that end every `config.train.log_every` steps and wherever an evaluation is due.
    Evaluations and checkpoints come at the ends of windows only, so a resumed run writes what an unbroken one does.

    Args:
        config: The whole configuration.
        workdir: The run directory.
        model: The network at its start.
        objective: Computes the losses.
        data: Batches.
        teacher: Gives depth and features of a batch of images on the devices; None for none.
        adversary: The discriminator of the holistic term; None without that term.
        earlier: The runs that the network's weights have been through, the first one first.

    On several hosts every one of them makes a `Trainer` on one shared run directory, which the first one writes.

    Raises:
        UserError: If the batch does not divide among the devices, or the run directory belongs to another
            configuration or network.
    """

    def __init__(
        self,
        config: ConfigDict,
        workdir: pathlib.Path,
        model: DepthNet,
        objective: Objective,
        data: Data,
        teacher: Callable[[Any], Prediction] | None = None,
        adversary: Adversary | None = None,
        earlier: Sequence[TrainingRun] = (),
    ) -> None:
        self.config, self.workdir, self.data, self.teacher = config, workdir, data, teacher
        self.terms, self.earlier = objective.terms, earlier
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
        self._best_by = f"eval/{config.train.best_by}"
        self._events = event_steps(steps_per_epoch, config.train.evaluations_per_epoch)

    def run(self) -> Result:
        """Trains to the end, or to an interrupt, after which the same call in a new process goes on.

        Raises:
            UserError: If a loss is no longer finite, naming the step and the last good checkpoint.
        """
        window: list[Any] = []
        clock = Clock()
        saved_at = time.monotonic()
        batches = self.data.train(self.step)
        with Interrupt() as interrupt:
            if self._evaluation_due() and not self._evaluated():  # the interrupt came before it
                self._evaluate()
            while self.step < self.total_steps:
                with clock.waiting():
                    batch = next(batches)
                self.state, scalars = self.train_step(self.state, teach(batch, self.mesh, self.teacher))
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
        self.checkpoints.close()
        self.book.close()
        return Result(
            self.step, self.step == self.total_steps and self._evaluated(), self.evaluation, self.book.records
        )

    def _evaluation_due(self) -> bool:
        return self.step > 0 and (self.step - 1) % self.data.steps_per_epoch + 1 in self._events

    def _evaluated(self) -> bool:
        return any(record["step"] == self.step and self._best_by in record for record in self.book.records)

    def _close_window(self, window: list[Any], clock: "Clock") -> None:
        values = jax.device_get(window)
        for offset, scalars in enumerate(values, start=self.step - len(values) + 1):
            broken = [name for name, value in scalars.items() if not np.isfinite(value)]
            if broken:
                self.checkpoints.close()
                self.book.close()
                kept = self.checkpoints.latest_step()
                raise UserError(
                    f"step {offset}: {', '.join(broken)} not finite; "
                    + (f"checkpoint {kept} is kept" if kept else "there is no checkpoint yet")
                    + f" in {self.workdir}; lower config.optim.learning_rate or look at that batch"
                )
        means = {name: float(np.mean([scalars[name] for scalars in values], dtype=np.float64)) for name in values[0]}
        means["learning_rate"] = float(self.schedule(self.step - 1))
        seconds, waited = clock.read()
        speed = {
            "time/steps_per_second": len(values) / seconds,
            "time/images_per_second": len(values) * self.config.data.batch_size / seconds,
            "time/data_wait": waited / seconds,
        }
        self.book.write(self.step, means | speed)
        terms = [
            f"{name.removeprefix('loss/')} {means[name]:.3f}x{means['weight/' + name.removeprefix('loss/')]:.2f}"
            for name in means
            if name.startswith("loss/")
        ]
        images = speed["time/images_per_second"]
        note = f"{images:.1f} images/s, wait {100 * speed['time/data_wait']:.1f}%, {', '.join(terms)}"
        self.book.advance(len(values), note)

    def _evaluate(self) -> None:
        result = evaluate(
            lambda batch: self.eval_step(self.state.params, self.state.batch_stats, batch),
            self.data.evaluate(),
            self.mesh,
            self.data.truths and self.data.truths(),
            log=self.config.data.log,
        )
        self.evaluation = result
        scores = {f"eval/{name}": score for name, score in result.scores.items()}
        if self._best_by not in scores:
            raise UserError(
                f"config.train.best_by is {self.config.train.best_by!r}, but the held-out set has no "
                + ("pairs; choose rmse" if "whdr" in self._best_by else "depth maps; choose whdr")
            )
        best = min((record[self._best_by] for record in self.book.records if self._best_by in record), default=math.inf)
        self.book.write(self.step, scores)
        epoch = self.step / self.data.steps_per_epoch
        told = ", ".join(f"{name} {score:.4f}" for name, score in result.scores.items())
        self.book.say(f"epoch {epoch:.4g}, step {self.step}: {told} (n = {result.total} pairs, {result.maps} maps)")
        if result.references is None and self.teacher is not None:
            images = shard_batch({"image": result.images}, self.mesh)["image"]
            result = result._replace(references=local_rows(self.teacher(images).depth))
        if hosts.is_first():
            self._write_products(result, better=scores[self._best_by] < best)

    def _write_products(self, result: Evaluation, better: bool) -> None:
        references = None if result.references is None else result.references[:GRID_ROWS]
        grid = plots.prediction_grid(result.images[:GRID_ROWS], result.predictions[:GRID_ROWS], references)
        with atomic_path(self.workdir / "predictions.png") as path:
            PIL.Image.fromarray(grid).save(path)
        self.book.image(self.step, "predictions", grid)
        plots.save_curves(self.workdir / "curves.png", self.book.records)
        if better:
            model = nnx.merge(self.graph, self.state.params, self.state.batch_stats)
            header = Header(
                run=TrainingRun(environment.command(), self.config.to_dict()),
                earlier=tuple(self.earlier),
                output=describe_output(self.config),
                scores=result.scores,
                pairs=result.total,
                depth_maps=result.maps,
                step=self.step,
                terms=tuple(term.name for term in self.terms),
            )
            save_weights(self.workdir / "model.safetensors", model, self.config.model, header)


class Clock:
    """Measures a window: its length, and how long the loop waited for data (an upper bound of the device's wait)."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._waited = 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time inside it as waiting."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    def read(self) -> tuple[float, float]:
        """Gives the seconds since the start, and those of them spent waiting."""
        return time.perf_counter() - self._start, self._waited


def event_steps(steps_per_epoch: int, per_epoch: int) -> frozenset[int]:
    """Gives the steps of an epoch (1 to `steps_per_epoch`) that end one of its `per_epoch` equal parts."""
    return frozenset(math.ceil((k + 1) * steps_per_epoch / per_epoch) for k in range(per_epoch))
