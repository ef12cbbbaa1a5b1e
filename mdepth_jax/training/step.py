"""The pure steps: training and evaluation, on any number of devices."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from mdepth_jax import metrics
from mdepth_jax.errors import UserError
from mdepth_jax.models.teachers import Prediction
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.state import TrainState

Arrays = Mapping[str, Any]
Losses = dict[str, jax.Array]
LossFunction = Callable[[Any], tuple[Losses, Any]]


def make_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """Returns the mesh of devices along one axis, `data`.

    Args:
        devices: Devices of all hosts; None for all that there are.
    """
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def make_training_mesh(batch_size: int) -> Mesh:
    """Returns the mesh of all devices for batches that they share.

    Args:
        batch_size: Batch size of all devices together.

    Raises:
        UserError: If they cannot share a batch equally.
    """
    mesh = make_mesh()
    if batch_size % mesh.size:
        raise UserError(
            f"`config.data.batch_size` is {batch_size}, which {mesh.size} devices cannot share equally; "
            f"give a multiple of {mesh.size}"
        )
    return mesh


def shard_batch(batch: Arrays, mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this host's part of a batch on its devices; returns the global batch."""
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return {key: jax.make_array_from_process_local_data(sharding, np.asarray(value)) for key, value in batch.items()}


def add_teacher(batch: Arrays, mesh: Mesh, teacher: Callable[[Any], Prediction] | None) -> dict[str, Any]:
    """Puts a batch on the devices, with the depth and the features that a teacher predicts for its images.

    Args:
        batch: This host's part of a batch; a cached `teacher_depth` takes precedence over the teacher's.
        mesh: Devices.
        teacher: Function from images on the devices to depth and features; None for none.
    """
    arrays: dict[str, Any] = shard_batch(batch, mesh)
    if teacher is not None:
        depth, features = teacher(arrays["image"])
        arrays = {"teacher_depth": depth} | arrays | {"teacher_features": features}
    return arrays


def local_rows(array: jax.Array) -> np.ndarray:
    """Returns the part of a global batch that lies on this host's devices."""
    shards = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    return np.concatenate([shards[start] for start in sorted(shards)])


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts a copy of every array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def make_train_step(
    graph: Any,
    optimizer: optax.GradientTransformationExtraArgs,
    objective: Objective,
    adversary: Adversary | None = None,
    *,
    gradient_per_loss: bool = False,
) -> Callable[[TrainState, Arrays], tuple[TrainState, dict[str, Any]]]:
    """Builds the jitted training step `(state, batch) -> (state, metrics)`, which donates its state.

    The weights of the losses are those of the balancer's state before the step. Batch statistics and losses are those
    of the global batch, whichever devices hold it.

    Args:
        graph: Graph definition of `create_state`.
        optimizer: Optimizer of `make_optimizer`.
        objective: Objective of the run.
        adversary: Discriminator of the holistic term; None without that term.
        gradient_per_loss: Whether the optimizer takes the gradient of each loss, as `optim.mtadam` does.

    Returns:
        The step, whose metrics are scalars: `total`, `gradient_norm`, `loss/<name>` and `weight/<name>`.
    """
    gradients_of = separate_gradients if gradient_per_loss else _weighted_gradient

    def train_step(state: TrainState, batch: Arrays) -> tuple[TrainState, dict[str, Any]]:
        weights = state.opt_state["rebalance"].weights

        def compute_losses(params: Any) -> tuple[Losses, Any]:
            model = nnx.merge(graph, params, state.batch_stats, copy=True)
            outputs = model(batch["image"])
            generator_loss = partial(adversary.generator_loss, state.adversary, batch["image"]) if adversary else None
            values = objective(outputs, batch, generator_loss)
            return values, (nnx.state(model, nnx.BatchStat), outputs.depth)

        values, (batch_stats, depth), gradient, extra = gradients_of(compute_losses, state.params, weights)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params, losses=values, **extra)
        params = optax.apply_updates(state.params, updates)
        scalars = {"total": sum(weights[name] * value for name, value in values.items())}
        scalars |= {"gradient_norm": optax.tree.norm(gradient)}
        scalars |= {f"loss/{name}": value for name, value in values.items()}
        scalars |= {f"weight/{name}": weight for name, weight in weights.items()}
        adversary_state = state.adversary
        if adversary:
            maps = batch["image"], batch["teacher_depth"], depth
            adversary_state = adversary.update(state.adversary, state.step, *maps)
        return TrainState(state.step + 1, params, batch_stats, opt_state, adversary_state), scalars

    return jax.jit(train_step, donate_argnums=0)


def _weighted_gradient(compute_losses: LossFunction, params: Any, weights: Losses) -> tuple[Losses, Any, Any, Any]:
    """Computes the losses and the gradient of their weighted sum; see `separate_gradients`."""

    def total(params: Any) -> tuple[jax.Array, Any]:
        values, rest = compute_losses(params)
        return sum((weights[name] * value for name, value in values.items()), jnp.zeros(())), (values, rest)

    gradient, (values, rest) = jax.grad(total, has_aux=True)(params)
    return values, rest, gradient, {}


def separate_gradients(compute_losses: LossFunction, params: Any, weights: Losses) -> tuple[Losses, Any, Any, Any]:
    """Computes the losses, the gradient of their weighted sum and that of each loss.

    It takes one forward pass, and one backward pass for each loss.

    Args:
        compute_losses: Function from parameters to the losses by name and any other outputs.
        params: Parameters at which the gradients are taken.
        weights: Weights of the losses by name.

    Returns:
        The losses, the other outputs, the gradient of the sum, and `{"loss_gradients": {name: gradient}}`.
    """
    values, pull_back, rest = jax.vjp(compute_losses, params, has_aux=True)
    separate = {}
    for name in values:
        (separate[name],) = pull_back({other: jnp.ones(()) * (other == name) for other in values})
    gradient = jax.tree.map(
        lambda *parts: sum(weights[name] * part for name, part in zip(values, parts, strict=True)), *separate.values()
    )
    return values, rest, gradient, {"loss_gradients": separate}


def make_eval_step(graph: Any) -> Callable[[Any, Any, Arrays], dict[str, jax.Array]]:
    """Builds the jitted evaluation step `(params, batch_stats, batch) -> scores`.

    Args:
        graph: Graph definition of `create_state`.

    Returns:
        The step, whose scores are those of `score_pairs`.
    """

    @jax.jit
    def eval_step(params: Any, batch_stats: Any, batch: Arrays) -> dict[str, jax.Array]:
        model = nnx.merge(graph, params, batch_stats, copy=True)
        model.eval()
        return score_pairs(model(batch["image"]).depth, batch)

    return eval_step


def score_pairs(depth: Float[Array, "batch height width 1"], batch: Arrays) -> dict[str, jax.Array]:
    """Scores predictions for a batch on its ordinal pairs (WHDR, Sec. 3.2.1).

    Args:
        depth: Predictions at the network's input size, larger = farther.
        batch: Batch of a validation or test set, whose points are pixels of the original images.

    Returns:
        The `depth` itself; for each image the numbers `wrong` and `total` of its pairs; and `row_wrong`, the number of
        all pairs that the baseline "the higher image row is farther" orders wrongly.
    """
    pairs, valid = (batch["points"], batch["relation"]), batch["valid"]
    wrong = metrics.wrong_pairs(depth, *pairs, batch["image_size"], valid)
    row_wrong = metrics.row_baseline_wrong(*pairs, valid)
    return {"depth": depth, "wrong": wrong.sum(axis=1), "total": valid.sum(axis=1), "row_wrong": row_wrong}
