"""Checkpoints of a run: the latest two and the best one, written in the background by Orbax."""

import pathlib
import warnings
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from mdepth_jax.errors import UserError
from mdepth_jax.training.state import TrainState


class Checkpoints:
    """The checkpoints of one run directory.

    A checkpoint is a flat dictionary of named arrays, so that it depends on no class of any library. It holds the whole
    `TrainState`; with it and the configuration, a resumed run equals an unbroken one bit for bit.

    Args:
        workdir: The run directory.
    """

    def __init__(self, workdir: pathlib.Path) -> None:
        self.directory = workdir.absolute() / "checkpoints"
        self._manager = self._open()

    def save(self, state: TrainState, score: float | None = None) -> None:
        """Starts to write a checkpoint; the call returns while it is written.

        Args:
            state: The state at the step to save; a step that is saved already is left as it is.
            score: Of the evaluation at this step, if there was one; lower is better.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        scores = None if score is None else {"score": score}
        self._manager.save(step, args=ocp.args.StandardSave(_named(state)), metrics=scores)

    def restore(self, target: TrainState) -> TrainState | None:
        """Reads the latest checkpoint that can be read.

        A damaged checkpoint is moved to `damaged-checkpoints/` with a warning, and the one before is taken.

        Args:
            target: A state of the structure, shapes, types and shardings to restore to.

        Returns:
            The state, or None if there is no checkpoint.

        Raises:
            UserError: If a checkpoint is of another architecture, naming the first tensor that differs.
        """
        abstract = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
            for name, leaf in _named(target).items()
        }
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                self._check(step, abstract)
                named = self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
            except UserError:
                raise
            except Exception as error:  # Orbax, TensorStore and the file system have no common class
                self._set_aside(step, error)
                continue
            return jax.tree.unflatten(jax.tree.structure(target), [named[name] for name in abstract])
        return None

    def latest_step(self) -> int | None:
        """Gives the step of the latest checkpoint, finished or being written."""
        return self._manager.latest_step()

    def wait(self) -> None:
        """Waits until what was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and frees the manager."""
        self._manager.close()

    def _open(self) -> ocp.CheckpointManager:
        best = policies.BestN(get_metric_fn=lambda scores: scores["score"], reverse=True, n=1,
                              keep_checkpoints_without_metrics=False)  # fmt: skip
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(2), best])
        )
        return ocp.CheckpointManager(self.directory, options=options, item_handlers=ocp.StandardCheckpointHandler())

    def _check(self, step: int, abstract: dict[str, jax.ShapeDtypeStruct]) -> None:
        saved = self._manager.item_metadata(step).tree
        for name in sorted(saved.keys() | abstract.keys()):
            there = tuple(saved[name].shape) if name in saved else "absent"
            here = tuple(abstract[name].shape) if name in abstract else "absent"
            if there != here:
                raise UserError(
                    f"{self.directory / str(step)} is of another network: {name} is {there} there and {here} here; "
                    "choose another --workdir"
                )

    def _set_aside(self, step: int, error: Exception) -> None:
        aside = self.directory.parent / "damaged-checkpoints"
        aside.mkdir(exist_ok=True)
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        warnings.warn(
            f"checkpoint {step} cannot be read ({reason}); moved to {aside}, falling back to the one before",
            stacklevel=3,
        )
        self._manager.close()
        (self.directory / str(step)).rename(aside / str(step))
        self._manager = self._open()


def _named(state: TrainState) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
