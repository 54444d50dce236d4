"""Checkpoints of a run: orbax's, written asynchronously, the latest and the best kept, never trusted blindly."""

import dataclasses
import logging
import warnings
from pathlib import Path
from typing import Any

import flax.serialization
from orbax.checkpoint import v1 as ocp

from train.state import TrainState

_policies = ocp.training.preservation_policies
logging.getLogger("absl").setLevel(logging.ERROR)  # orbax logs every save


class CheckpointError(RuntimeError):
    """No checkpoint could be read, or none could be written."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint held."""

    step: int
    state: TrainState
    progress: dict[str, Any]
    """What the loop needs beside the state: the data iterator's state, and the best result so far."""


class Checkpoints:
    """The checkpoints under one folder, a subfolder a step.

    Args:
      directory: where they are; made when the first is saved.
      best: the metric that ranks them; the best one is kept beside the latest two.
      higher_is_better: whether more of that metric is better.
    """

    def __init__(self, directory: Path, best: str, higher_is_better: bool) -> None:
        def rank(metrics: dict[str, float]) -> float:
            return metrics[best]

        keep_best = _policies.BestN(
            get_metric_fn=rank, reverse=not higher_is_better, n=1, keep_checkpoints_without_metrics=False
        )
        self.directory = directory
        self._rank, self._higher = rank, higher_is_better
        self._unreadable: set[int] = set()
        self._saving: int | None = None
        self._saved: Any = None
        self._manager = ocp.training.Checkpointer(
            directory.absolute(),
            preservation_policy=_policies.AnyPreservationPolicy([_policies.LatestN(2), keep_best]),
            cleanup_tmp_directories=True,
        )

    def steps(self) -> list[int]:
        """The steps that have a complete checkpoint, ascending."""
        return [checkpoint.step for checkpoint in self._manager.checkpoints]

    def best_step(self) -> int | None:
        """The step with the best metric, or None when none was evaluated."""
        ranked = [c for c in self._manager.checkpoints if c.metrics]
        if not ranked:
            return None
        choose = max if self._higher else min
        return choose(ranked, key=lambda checkpoint: self._rank(checkpoint.metrics)).step

    def save(self, step: int, state: TrainState, progress: dict[str, Any], metrics: dict[str, float] | None) -> None:
        """Starts writing a checkpoint in the background; arrays may be donated as soon as this returns.

        A failure of the save *before* (a full disk, say) is reported as a warning: the run goes on,
        and the older checkpoints stay as they are.
        """
        try:
            self.wait()
        except CheckpointError as error:
            warnings.warn(str(error), stacklevel=2)
        try:
            self._saved = self._manager.save_checkpointables_async(
                step,
                {"state": flax.serialization.to_state_dict(state)},
                force=True,
                overwrite=step in self._unreadable,
                metrics=metrics,
                custom_metadata=progress,
            )
            self._saving = step
        except OSError as error:
            warnings.warn(self._failure(step, error), stacklevel=2)

    def wait(self) -> None:
        """Blocks until the checkpoint in writing is complete.

        Raises:
          CheckpointError: it could not be written; says which older one is usable.
        """
        saved, step = self._saved, self._saving
        self._saved = self._saving = None
        if saved is None:
            return
        try:
            saved.result()
        except Exception as error:  # whatever the file system gave
            raise CheckpointError(self._failure(step, error)) from error

    def restore(self, abstract: TrainState, step: int | None = None) -> Restored | None:
        """The newest checkpoint that can be read, or None when there is none at all.

        One that cannot be read is skipped with a warning for the one before it.

        Args:
          abstract: shapes, types and shardings of the state, from `Placement.abstract`.
          step: only this step.

        Raises:
          CheckpointError: there are checkpoints, but none can be read, or `step` is not among them.
        """
        steps = self.steps()
        if step is not None and step not in steps:
            raise CheckpointError(f"no checkpoint at step {step} in {self.directory}; there are {steps}")
        candidates = list(reversed(steps)) if step is None else [step]
        reasons = []
        for candidate in candidates:
            try:
                return self._read(candidate, abstract)
            except Exception as error:  # orbax, tensorstore, json and numpy each raise their own
                reason = f"step {candidate}: {_first_line(error)}"
                reasons.append(reason)
                self._unreadable.add(candidate)
                warnings.warn(f"checkpoint of {reason}; skipped", stacklevel=2)
        if not candidates:
            stray = sorted(path.name for path in self.directory.glob("*")) if self.directory.exists() else []
            if stray:
                raise CheckpointError(f"{self.directory} holds no complete checkpoint, but: {', '.join(stray)}")
            return None
        raise CheckpointError(
            f"no checkpoint in {self.directory} can be read by this recipe:\n  " + "\n  ".join(reasons)
        )

    def load_variables(self, step: int | None = None) -> tuple[int, dict[str, Any]]:
        """Step and model variables of one checkpoint (by default the newest), for inference.

        Raises:
          CheckpointError: there is no such checkpoint, or it cannot be read.
        """
        steps = self.steps()
        if not steps or (step is not None and step not in steps):
            raise CheckpointError(f"{self.directory}: expected a checkpoint, found steps {steps}")
        step = steps[-1] if step is None else step
        try:
            tree = self._manager.load_checkpointables(step)["state"]
        except Exception as error:  # see restore
            raise CheckpointError(f"{self.directory}: step {step} cannot be read ({_first_line(error)})") from error
        return step, {"params": tree["params"], **tree["model_state"]}

    def close(self) -> None:
        """Waits for the checkpoint in writing, then lets go of the folder."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def _read(self, step: int, abstract: TrainState) -> Restored:
        target = {"state": flax.serialization.to_state_dict(abstract)}
        tree = self._manager.load_checkpointables(step, target)["state"]
        metadata = self._manager.checkpointables_metadata(step)
        state = flax.serialization.from_state_dict(abstract, tree)
        return Restored(step, state, metadata.custom_metadata or {})

    def _failure(self, step: int | None, error: Exception) -> str:
        self._manager.reload()
        usable = [s for s in self.steps() if s != step]
        last = f"the newest usable one is step {usable[-1]}" if usable else "there is no older one"
        return f"the checkpoint of step {step} could not be written ({_first_line(error)}); {last}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
