"""The pure steps: training and evaluation, on any number of devices."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mdepth_jax import metrics
from mdepth_jax.training.objective import Objective
from mdepth_jax.training.state import TrainState

Arrays = Mapping[str, Any]


def make_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """Makes the mesh of all devices (of all hosts) along one axis, `data`."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def shard_batch(batch: Arrays, mesh: Mesh) -> dict[str, jax.Array]:
    """Puts this host's part of a batch on its devices; the result is the global batch."""
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    return {key: jax.make_array_from_process_local_data(sharding, np.asarray(value)) for key, value in batch.items()}


def local_rows(array: jax.Array) -> np.ndarray:
    """Gives the part of a global batch that lies on this host's devices."""
    shards = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    return np.concatenate([shards[start] for start in sorted(shards)])


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts a copy of every array on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def make_train_step(
    graph: Any, optimizer: optax.GradientTransformationExtraArgs, objective: Objective
) -> Callable[[TrainState, Arrays], tuple[TrainState, dict[str, Any]]]:
    """Makes the jitted training step `(state, batch) -> (state, metrics)`; the given state is donated.

    The weights of the losses are those of the balancer's state before the step. Batch statistics and losses are of the
    whole batch, whichever devices hold it.

    Args:
        graph: From `state.create`.
        optimizer: From `state.make_optimizer`.
        objective: Computes the losses.

    Returns:
        The step. Its metrics are scalars: `total`, `gradient_norm`, `loss/<name>` and `weight/<name>`.
    """

    def train_step(state: TrainState, batch: Arrays) -> tuple[TrainState, dict[str, Any]]:
        weights = state.opt_state["rebalance"].weights

        def weighted_loss(params: Any) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
            model = nnx.merge(graph, params, state.batch_stats, copy=True)
            values = objective(model(batch["image"]), batch)
            total = sum(weights[name] * value for name, value in values.items())
            return total, (values, nnx.state(model, nnx.BatchStat))

        (total, (values, batch_stats)), gradients = jax.value_and_grad(weighted_loss, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params, losses=values)
        params = optax.apply_updates(state.params, updates)
        scalars = {"total": total, "gradient_norm": optax.tree.norm(gradients)}
        scalars |= {f"loss/{name}": value for name, value in values.items()}
        scalars |= {f"weight/{name}": weight for name, weight in weights.items()}
        return TrainState(state.step + 1, params, batch_stats, opt_state), scalars

    return jax.jit(train_step, donate_argnums=0)


def make_eval_step(graph: Any) -> Callable[[Any, Any, Arrays], dict[str, jax.Array]]:
    """Makes the jitted evaluation step `(params, batch_stats, batch) -> scores`.

    Args:
        graph: From `state.create`.

    Returns:
        The step. Its scores are `depth` `[B, H, W, 1]`, the numbers `wrong` and `total` of pairs, and `row_wrong`,
        those that the baseline "the higher image row is farther" has wrong.
    """

    @jax.jit
    def eval_step(params: Any, batch_stats: Any, batch: Arrays) -> dict[str, jax.Array]:
        model = nnx.merge(graph, params, batch_stats, copy=True)
        model.eval()
        depth = model(batch["image"]).depth
        pairs = batch["points"], batch["relation"]
        wrong, total = metrics.whdr_counts(depth, *pairs, batch["image_size"], batch["valid"])
        row_wrong = metrics.row_baseline_wrong(*pairs, batch["valid"])
        return {"depth": depth, "wrong": wrong, "total": total, "row_wrong": row_wrong}

    return eval_step
