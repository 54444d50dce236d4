"""Checkpoints of a run: orbax's, written while training goes on, sealed when complete, never trusted blindly."""

import contextlib
import dataclasses
import os
import re
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree
from orbax.checkpoint import v1 as ocp

from train import config
from train.config import Metric, Recipe, RunError
from train.store import seal
from train.store.names import differences, kind_of, named, nested, parse_kind

_policies = ocp.training.preservation_policies
_LATEST = 2


class CheckpointError(RunError):
    """No checkpoint could be read, or the last could not be written."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint held."""

    step: int
    state: PyTree[Array]
    progress: dict[str, Any]
    """What the loop needs beside the state: the data iterator's state, and the best result so far."""


class Checkpoints:
    """The checkpoints under one folder, a subfolder a step; the latest two and the best are kept.

    Args:
      directory: where they are; made when the first is saved.
      best: the metric that ranks them.
      recipe: of the run whose checkpoints these are; those of another are not read.
      seals: whether this process seals what all have written: the first does, of several.
    """

    def __init__(self, directory: Path, best: Metric, recipe: Recipe, seals: bool = True) -> None:
        self.directory = directory.absolute()
        self._recipe, self._seals = recipe, seals
        self._best, self._sign = best.name, 1 if best.higher_is_better else -1
        self._orbax: ocp.training.Checkpointer | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: tuple[int, Future] | None = None
        self._abandoned = False

    def steps(self) -> list[int]:
        """The steps that have a finished checkpoint, ascending."""
        return [step for step in self._folders() if seal.is_sealed(self._folder(step))]

    def best_step(self) -> int | None:
        """The step with the best metric, the earliest of equals; None when none was evaluated."""
        values = {}
        for step in self.steps():
            with contextlib.suppress(seal.DamagedError):
                metrics = seal.read(self._folder(step)).metrics or {}
                value = metrics.get(self._best, np.nan)
                if np.isfinite(value):
                    values[step] = self._sign * value
        return max(values, key=values.get, default=None)

    def save(
        self, step: int, state: PyTree[Array], progress: dict[str, Any], metrics: dict[str, float] | None = None
    ) -> None:
        """Starts writing a checkpoint in the background; arrays may be donated as soon as this returns.

        A save that fails, on a full disk say, leaves the older checkpoints as they are and takes its own
        files away. The run goes on in the hope of a better next time: the failure is a warning of the next
        `save`, and only when nothing follows an error, raised by `wait`. The disk has to hold four
        checkpoints: the latest two, the best, and the one in writing.
        """
        try:
            self.wait()
        except CheckpointError as error:
            warnings.warn(f"{error}; the run goes on", stacklevel=2)
        arrays = named(state)
        try:
            response = self._manager().save_checkpointables_async(step, {"state": arrays}, force=True)
        except Exception as error:  # whatever the file system gave; `wait` reports it
            failed: Future = Future()
            failed.set_exception(error)
            self._saving = step, failed
            return
        kinds = {name: kind_of(leaf) for name, leaf in arrays.items()}

        def finish() -> None:
            response.result()
            if self._seals:
                seal.seal(self._folder(step), kinds, progress, metrics, config.to_dict(self._recipe))

        self._saving = step, self._writer.submit(finish)

    def amend(self, step: int, progress: dict[str, Any], metrics: dict[str, float]) -> None:
        """Adds to a finished checkpoint an evaluation that was made only after it was saved."""
        if self._seals:
            seal.amend(self._folder(step), progress, metrics)

    def wait(self) -> None:
        """Blocks until the checkpoint in writing is complete.

        Raises:
          CheckpointError: it could not be written; says which older one is usable.
        """
        saving, self._saving = self._saving, None
        if saving is None:
            return
        step, future = saving
        try:
            future.result()
        except Exception as error:  # whatever the file system gave
            self._discard(step)
            usable = self.steps()
            last = f"step {usable[-1]} is there and usable" if usable else "there is no older one"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.directory} ({_brief(error)}); {last}"
            ) from error

    def restore(self, abstract: PyTree[jax.ShapeDtypeStruct]) -> Restored | None:
        """The newest checkpoint that is whole, or None when none was ever finished; see `choose` and `read`."""
        step = self.choose(abstract)
        return None if step is None else self.read(step, abstract)

    def choose(self, abstract: PyTree[jax.ShapeDtypeStruct]) -> int | None:
        """The step of the newest checkpoint that is whole, or None when none was ever finished.

        Those after it that are not are moved aside, to the folder "unreadable" beside this one,
        with a warning each, so that the run can save at their steps again.

        Args:
          abstract: shapes, types and shardings of the state, from `Placement.abstract`.

        Raises:
          CheckpointError: there are checkpoints but none is whole; they stay where they are.
        """
        chosen, reasons = self._newest(lambda step: (self._checked(step, abstract), step)[1], self._folders())
        if chosen is None and any(seal.is_sealed(self._folder(step)) for step in reasons):
            raise CheckpointError(_none_readable(self.directory, reasons))
        for step, reason in reasons.items():
            aside = self._move_aside(step)
            warnings.warn(f"checkpoint of step {step} skipped: {reason}; moved to {aside}", stacklevel=2)
        return chosen

    def read(self, step: int, abstract: PyTree[jax.ShapeDtypeStruct]) -> Restored:
        """The checkpoint of a step that `choose` gave."""
        wanted = named(abstract)
        try:
            arrays = self._load(step, wanted)
        except Exception as error:  # orbax and tensorstore each raise their own
            raise CheckpointError(f"the checkpoint of step {step} cannot be read ({_brief(error)})") from error
        state = jax.tree.structure(abstract).unflatten([arrays[name] for name in wanted])
        return Restored(step, state, seal.read(self._folder(step)).progress)

    def load_variables(self, step: int | None = None) -> tuple[int, dict[str, Any], dict[str, Any] | None]:
        """Step, model variables and, if kept, their moving average, on one device, for inference.

        Args:
          step: which; by default the newest that can be read, with a warning for each that cannot.

        Raises:
          CheckpointError: there is no such checkpoint, or it cannot be read.
        """
        if step is not None and step not in self.steps():
            raise CheckpointError(f"{self.directory}: no checkpoint of step {step}, only of {self.steps()}")
        found, reasons = self._newest(self._read_variables, self._folders() if step is None else [step])
        if found is None:
            raise CheckpointError(_none_readable(self.directory, reasons))
        for skipped, reason in reasons.items():
            warnings.warn(f"checkpoint of step {skipped} skipped: {reason}", stacklevel=2)
        return found

    def abandon(self) -> None:
        """Leaves a checkpoint in writing as it is, unsealed: it needs all processes, and one is lost."""
        self._abandoned = True

    def close(self) -> None:
        """Waits for the checkpoint in writing, then lets go of the folder; a failure is a warning."""
        if self._abandoned:
            self._writer.shutdown(wait=False)
            return
        try:
            self.wait()
        except CheckpointError as error:
            warnings.warn(str(error), stacklevel=2)
        self._writer.shutdown()
        if self._orbax is not None:
            self._orbax.close()

    def _newest(self, read: Callable[[int], Any], steps: list[int]) -> tuple[Any, dict[int, str]]:
        """What `read` makes of the newest step it can read, and why it could not of those after it."""
        reasons = {}
        for step in reversed(steps):
            try:
                return read(step), reasons
            except Exception as error:  # orbax, tensorstore, json and numpy each raise their own
                reasons[step] = _brief(error)
        return None, reasons

    def _verified(self, step: int) -> seal.Seal:
        """The seal of a checkpoint that is whole and of this run's recipe."""
        sealed = seal.verify(self._folder(step))
        if fields := config.differences(config.from_dict(sealed.recipe), self._recipe):
            raise CheckpointError(f"it is of a run of another recipe ({'; '.join(fields)})")
        return sealed

    def _checked(self, step: int, abstract: PyTree[jax.ShapeDtypeStruct]) -> seal.Seal:
        """The seal of a checkpoint that is whole and of this model and optimiser."""
        sealed = self._verified(step)
        if differing := differences(sealed.arrays, {name: kind_of(leaf) for name, leaf in named(abstract).items()}):
            raise CheckpointError(f"it is of another model or optimiser ({differing})")
        return sealed

    def _read_variables(self, step: int) -> tuple[int, dict[str, Any], dict[str, Any] | None]:
        sealed = self._verified(step)
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        wanted = {name: parse_kind(kind, device) for name, kind in sealed.arrays.items()}
        tree = nested(self._load(step, wanted))
        return step, {"params": tree["params"], **tree.get("model_state", {})}, tree.get("ema")

    def _load(self, step: int, wanted: dict[str, jax.ShapeDtypeStruct]) -> dict[str, Array]:
        return ocp.load_checkpointables(self._folder(step), {"state": wanted})["state"]

    def _manager(self) -> "ocp.training.Checkpointer":
        if self._orbax is None:
            keep = _policies.AnyPreservationPolicy([_policies.LatestN(_LATEST), _KeepBest(self)])
            # Made only now: it cleans up after an interrupted save, which a mere reader must not do.
            self._orbax = ocp.training.Checkpointer(
                self.directory, preservation_policy=keep, cleanup_tmp_directories=True
            )
        return self._orbax

    def _folder(self, step: int) -> Path:
        return self.directory / str(step)

    def _folders(self) -> list[int]:
        """All steps that have a folder, finished or not, ascending."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())

    def _discard(self, step: int) -> None:
        """Takes away what a failed save left, which would fill the disk even more, and orbax's memory of it."""
        if self._orbax is not None:
            with contextlib.suppress(Exception):  # it raises the same error again
                self._orbax.close()
            self._orbax = None
        for path in [self._folder(step), *self.directory.glob(f"{step}.*")]:
            if not seal.is_sealed(path):
                shutil.rmtree(path, ignore_errors=True)

    def _move_aside(self, step: int) -> Path:
        aside = self.directory.with_name("unreadable")
        try:
            aside.mkdir(exist_ok=True)
            target, number = aside / str(step), 1
            while target.exists():
                number += 1
                target = aside / f"{step}-{number}"
            os.replace(self._folder(step), target)
        except OSError as error:
            raise CheckpointError(f"{self._folder(step)} cannot be read, nor moved aside ({_brief(error)})") from error
        return target


class _KeepBest:
    """Orbax's protocol for which checkpoints to keep: here the best of those that are finished."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def should_preserve(self, checkpoints: list[Any], *, context: Any) -> list[bool]:
        best = self._checkpoints.best_step()
        return [checkpoint.step == best for checkpoint in checkpoints]


def _none_readable(directory: Path, reasons: dict[int, str]) -> str:
    if not reasons:
        return f"{directory} holds no finished checkpoint yet"
    listed = "".join(f"\n  step {step}: {reason}" for step, reason in reasons.items())
    return f"none of the checkpoints in {directory} can be read:{listed}"


def _brief(error: Exception) -> str:
    """An error in a line: what the system said of a file, or the first of the many lines that orbax makes of it."""
    if code := re.search(r"os_error_code='(\d+)'", str(error)):
        return os.strerror(int(code[1]))
    lines = str(error).strip().splitlines() or [type(error).__name__]
    named = isinstance(error, CheckpointError | seal.DamagedError | OSError)
    return lines[0][:300] if named else f"{type(error).__name__}: {lines[0][:300]}"
