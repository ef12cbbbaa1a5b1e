"""Short-term fine-tune and evaluation of proposals.

A proposal is the full network with zeros in the place of removed channels (see `surgery`): all proposals of a search
share one compiled training step and one compiled evaluation.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mdepth_jax.data.types import Data, EvalSet
from mdepth_jax.errors import UserError
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.pruning import surgery
from mdepth_jax.pruning.surgery import Kept
from mdepth_jax.pruning.task import PruningTask
from mdepth_jax.training.evaluation import Evaluation, evaluate
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.optimizers import OPTIMIZERS, make_optimizer
from mdepth_jax.training.provenance import default_alignment
from mdepth_jax.training.state import TrainState, create_state
from mdepth_jax.training.step import add_teacher, make_eval_step, make_train_step, make_training_mesh, replicate


class ShortTermTrainer:
    """Trainer of proposals for a few steps at a constant learning rate and with constant weights of the losses.

    Args:
        task: Network to prune and settings of the search.
        objective: Losses of the training.
        data: Training and validation data.
        teacher: Function from a batch of images on the devices to depth and features; None for no teacher.

    Raises:
        UserError: If there is no validation set.
    """

    def __init__(
        self,
        task: PruningTask,
        *,
        objective: Objective,
        data: Data,
        teacher: Callable[[Any], Prediction] | None = None,
    ) -> None:
        self.config, self.settings, self.structure = task.config, task.settings, task.structure
        if data.val is None:
            raise UserError(
                "the run holds out no images that proposals could be judged by; name a split that it was not trained "
                "on: `config.data.val=SPLIT`"
            )
        self.data, self.teacher = data, teacher
        self.val = data.val
        self.mesh = make_training_mesh(self.config.data.batch_size)
        steady = self.config.copy_and_resolve_references()
        steady.rebalance.order = "off"
        weights = objective.initial_weights(self.config.loss.weights.to_dict())
        rate = optax.constant_schedule(self.settings.learning_rate)
        optimizer = make_optimizer(steady, weights, rate, data.steps_per_epoch)
        self.graph, state = create_state(task.model, optimizer)
        self.initial_params, self.initial_batch_stats = state.params, state.batch_stats
        per_loss = OPTIMIZERS[self.config.optim.optimizer].takes_loss_gradients
        self.train_step = make_train_step(self.graph, optimizer, objective, gradient_per_loss=per_loss)
        self.eval_step = make_eval_step(self.graph)
        self.start_state = jax.jit(lambda *arguments: _start_state(optimizer, *arguments))

    def load_batches(self, iteration: int) -> list[dict[str, Any]]:
        """Loads the training batches that all proposals of an iteration share, with the teacher's predictions.

        Args:
            iteration: Number of iterations before it.
        """
        steps = self.settings.short_steps
        batches = itertools.islice(self.data.train(iteration * steps), steps)
        return [add_teacher(batch, self.mesh, self.teacher) for batch in batches]

    def fine_tune(self, params: Any, batch_stats: Any, kept: Kept, batches: Sequence[Any]) -> tuple[Any, Any]:
        """Trains the network that has only the channels that are kept.

        Args:
            params: Parameters of the full network.
            batch_stats: Batch statistics of the full network.
            kept: Channels of every group that are kept.
            batches: Batches of `load_batches`, one for each training step.

        Returns:
            Parameters, zero in removed channels, and batch statistics of the full network.
        """
        masks = surgery.variable_masks(self.structure, kept)
        names = [".".join(map(str, path)) for path, _ in params.flat_state()]
        mask = jax.tree.unflatten(jax.tree.structure(params), [masks[name] for name in names])
        state = replicate(self.start_state(params, batch_stats, mask), self.mesh)
        for batch in batches:
            state, _ = self.train_step(state, batch)
        return state.params, state.batch_stats

    def evaluate(self, params: Any, batch_stats: Any) -> Evaluation:
        """Evaluates a network on the validation set, or on as many of its batches as the settings allow.

        Args:
            params: Parameters of the network.
            batch_stats: Batch statistics of the network.
        """
        return evaluate(
            lambda batch: self.eval_step(params, batch_stats, batch),
            self._limit(self.val),
            self.mesh,
            log=self.config.data.log,
            align=default_alignment(self.config),
        )

    def _limit(self, val: EvalSet) -> EvalSet:
        """Returns as much of the validation set as the settings allow."""

        def limited(batches: Callable[[], Iterable[Any]]) -> Callable[[], Iterator[Any]]:
            return lambda: itertools.islice(batches(), self.settings.evaluation_batches or None)

        return val._replace(
            batches=limited(val.batches), depth_batches=val.depth_batches and limited(val.depth_batches)
        )


def _start_state(optimizer: optax.GradientTransformation, params: Any, batch_stats: Any, mask: Any) -> TrainState:
    """Creates the state of a training that starts from the parameters that the mask keeps."""
    params = jax.tree.map(lambda value, keep: jnp.where(keep, value, 0), params, mask)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=jax.tree.map(jnp.copy, batch_stats),
        opt_state=optimizer.init(params),
    )
