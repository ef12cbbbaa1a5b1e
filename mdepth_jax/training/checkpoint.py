"""Checkpoints of a run: the latest two, written in the background by Orbax."""

import itertools
import pathlib
import warnings
from typing import Any

import jax
import orbax.checkpoint as ocp

from mdepth_jax.errors import UserError
from mdepth_jax.training import hosts
from mdepth_jax.training.state import TrainState


class Checkpoints:
    """The checkpoints of one run directory.

    A checkpoint is a flat dictionary of named arrays, so that it depends on no class of any library. It holds all of
    `TrainState`; with it and the configuration, a resumed run equals an unbroken one bit for bit.

    Args:
        workdir: Path of the run directory.
    """

    def __init__(self, workdir: pathlib.Path) -> None:
        self.directory = workdir.absolute() / "checkpoints"
        self._manager = self._open()

    def save(self, state: TrainState) -> None:
        """Starts to write a checkpoint, and returns while it is written.

        Args:
            state: State to save; if there is a checkpoint of its step, that one stays.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        self._manager.save(step, args=ocp.args.StandardSave(_named(state)))

    def restore(self, target: TrainState) -> TrainState | None:
        """Reads the latest checkpoint that can be read.

        Later ones that are damaged are moved to `damaged-checkpoints/` with a warning. All hosts call this.

        Args:
            target: State with the structure, shapes, types and shardings to restore to.

        Returns:
            The state, or None if there is no checkpoint.

        Raises:
            UserError: If a checkpoint is of another architecture (the message names the first tensor that differs), or
                if there are checkpoints and none can be read; then all stay where they are.
        """
        abstract = {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
            for name, leaf in _named(target).items()
        }
        damaged: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                self._check(step, abstract)
                named = self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
            except UserError:
                raise
            except Exception as error:  # Orbax, TensorStore and the file system have no common class
                damaged[step] = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                continue
            if damaged:
                self._set_aside(damaged)
            return jax.tree.unflatten(jax.tree.structure(target), [named[name] for name in abstract])
        if damaged:
            newest = max(damaged)
            raise UserError(
                f"{self.directory}: none of its checkpoints can be read (the newest, {newest}: {damaged[newest]}); "
                "repeat the command once the files are complete, or choose another `workdir` to start anew"
            )
        return None

    def latest_step(self) -> int | None:
        """Returns the step of the latest checkpoint, finished or being written."""
        return self._manager.latest_step()

    def wait(self) -> None:
        """Waits until all checkpoints are on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until all checkpoints are on disk and frees the resources."""
        self._manager.close()

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(max_to_keep=2)
        return ocp.CheckpointManager(self.directory, options=options, item_handlers=ocp.StandardCheckpointHandler())

    def _check(self, step: int, abstract: dict[str, jax.ShapeDtypeStruct]) -> None:
        saved = self._manager.item_metadata(step).tree
        for name in sorted(saved.keys() | abstract.keys()):
            there = tuple(saved[name].shape) if name in saved else "absent"
            here = tuple(abstract[name].shape) if name in abstract else "absent"
            if there != here:
                raise UserError(
                    f"{self.directory / str(step)} is of another network: {name} is {there} there and {here} here; "
                    "choose another `workdir`"
                )

    def _set_aside(self, damaged: dict[int, str]) -> None:
        aside = self.directory.parent / "damaged-checkpoints"
        self._manager.close()
        for step, reason in damaged.items():
            warnings.warn(f"checkpoint {step} cannot be read ({reason}); it is moved to {aside}", stacklevel=3)
            if hosts.is_first():
                aside.mkdir(exist_ok=True)
                (self.directory / str(step)).rename(_unused(aside / str(step)))
        hosts.wait_for_all(str(aside))
        self._manager = self._open()


def _unused(path: pathlib.Path) -> pathlib.Path:
    """Returns the path, with a number behind its name if it exists."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(candidate for candidate in itertools.chain([path], numbered) if not candidate.exists())


def _named(state: TrainState) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
