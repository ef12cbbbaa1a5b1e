"""From a configuration and its data to the trainer of a run."""

import pathlib

from flax import nnx
from ml_collections import ConfigDict

from mdepth_jax.data.types import Data, Supervision
from mdepth_jax.models import DepthNet, TrainingRun, build_model, load_pretrained, load_weights, start_from
from mdepth_jax.training import hosts
from mdepth_jax.training.adversary import Adversary
from mdepth_jax.training.loop import Trainer
from mdepth_jax.training.objective import make_objective
from mdepth_jax.training.teacher import open_teacher
from mdepth_jax.training.teacher_check import check_teacher_sign


def build_trainer(config: ConfigDict, workdir: pathlib.Path, data: Data, supervision: Supervision) -> Trainer:
    """Builds everything that a configuration describes.

    Args:
        config: Configuration of one run; the widths of a pruned network that it starts from are written into it.
        workdir: Path of the run directory, into which the configuration is written.
        data: Batches of both sets.
        supervision: What the data and the teacher provide.

    Returns:
        The trainer, at its last checkpoint if there is one.

    Raises:
        UserError: If the loss terms, the network, its initial weights, the teacher or the run directory do not fit.
    """
    objective = make_objective(config, supervision)
    teacher = open_teacher(config)
    if supervision.pairs and any(term.supervision == "teacher_depth" for term in objective.terms):
        check_teacher_sign(config, data, teacher)
    model, earlier = build_network(config)
    adversary = None
    if objective.needs_discriminator:
        adversary = Adversary(config.discriminator, rngs=nnx.Rngs(config.seed + 1))
    return Trainer(
        config=config,
        workdir=workdir,
        model=model,
        objective=objective,
        data=data,
        teacher=teacher,
        adversary=adversary,
        earlier=earlier,
    )


def build_network(config: ConfigDict) -> tuple[DepthNet, tuple[TrainingRun, ...]]:
    """Builds the network of a configuration with its initial weights.

    Args:
        config: Configuration of one run; the widths of a pruned network that it starts from are written into it.

    Returns:
        The network, and the runs that its weights have been through, the first one first.

    Raises:
        UserError: If the network or its initial weights do not fit.
    """
    start = config.model.start
    if start and not config.model.widths:
        config.model.widths = load_weights(pathlib.Path(start)).config.widths
    model = build_model(config.model, rngs=nnx.Rngs(config.seed))
    if start:
        weights = start_from(model, pathlib.Path(start))
        if weights.new_heads and hosts.is_first():
            heads = f"{weights.new_heads} of the {config.model.heads} intermediate heads"
            print(f"{start} lacks {heads}; these start anew")
        return model, weights.header.lineage
    if config.model.pretrained:
        load_pretrained(model, config.model.pretrained)
    return model, ()
