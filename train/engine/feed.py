"""Feeds: how batches reach the step. Small sets stay on the device; large ones arrive batch by batch."""

import functools
from typing import Any, Protocol

import jax
import numpy as np
from jaxtyping import Int, PyTree

from train.data import GrainPipeline, MemoryPipeline, gather
from train.engine.placement import Augment, MeshPlacement
from train.engine.state import TrainState
from train.engine.step import Sums, Update


class Feed(Protocol):
    """Runs steps on the batches that come next."""

    steps_per_dispatch: int
    """The most steps that one call of `advance` runs."""

    def advance(
        self, state: TrainState, step: int, count: int
    ) -> tuple[TrainState, Sums, Int[np.ndarray, "count batch"]]:
        """Runs `count` steps from `step` on, without waiting for them; `state` is donated.

        Returns:
          the new state, the metric sums of each step (a leading axis of `count`, or scalars where a dispatch
          is one step), and the rows in the source of this process's examples, for error messages.
        """

    def state(self, step: int) -> dict[str, Any]:
        """What a checkpoint after `step` steps must hold to go on with the same batches."""

    def restore(self, saved: dict[str, Any]) -> None:
        """Goes back to what `state` returned.

        Raises:
          ValueError: another kind of feed wrote it.
        """

    def close(self) -> None:
        """Stops workers, and lets go of the examples."""


class MemoryFeed:
    """All examples on every device; a step gathers its batch there, and several steps may share one dispatch."""

    def __init__(
        self,
        pipeline: MemoryPipeline,
        placement: MeshPlacement,
        augment: Augment,
        update: Update,
        steps_per_dispatch: int,
    ) -> None:
        self.steps_per_dispatch = steps_per_dispatch
        self._pipeline, self._placement = pipeline, placement
        self._arrays = placement.replicate(pipeline.arrays)
        compiled = placement.steps if steps_per_dispatch > 1 else placement.step
        self._step = compiled(gather, augment, update)

    def advance(
        self, state: TrainState, step: int, count: int
    ) -> tuple[TrainState, Sums, Int[np.ndarray, "count batch"]]:
        """See `Feed`."""
        # The examples of a batch lie along the last axis: before it there may be others, such as seeds.
        rows = np.stack([self._pipeline.indices(step + offset) for offset in range(count)])
        # Everything is put on the devices explicitly: nothing is transferred behind the step's back.
        if self.steps_per_dispatch == 1:
            state, sums = self._step(state, self._arrays, self._placement.shard(rows[0], axis=rows.ndim - 2))
            return state, sums, rows
        padded = np.zeros((self.steps_per_dispatch, *rows.shape[1:]), rows.dtype)
        padded[:count] = rows
        stepped, number = self._placement.shard(padded, axis=rows.ndim - 1), self._placement.replicate(np.int32(count))
        state, sums = self._step(state, self._arrays, stepped, number)
        return state, _first(sums, count), rows

    def state(self, step: int) -> dict[str, Any]:
        """See `Feed`."""
        return {"pipeline": "memory", "step": step}

    def restore(self, saved: dict[str, Any]) -> None:
        """See `Feed`."""
        _check_kind(saved, "memory")  # the batches follow from the step alone

    def close(self) -> None:
        """See `Feed`."""
        self._arrays = None


class GrainFeed:
    """Batches from Grain, each put on the devices as it comes."""

    steps_per_dispatch = 1

    def __init__(self, pipeline: GrainPipeline, placement: MeshPlacement, augment: Augment, update: Update) -> None:
        self._pipeline, self._placement = pipeline, placement
        self._step = placement.step(lambda batch: batch, augment, update)

    def advance(
        self, state: TrainState, step: int, count: int
    ) -> tuple[TrainState, Sums, Int[np.ndarray, "count batch"]]:
        """See `Feed`."""
        batch = self._pipeline.next()
        state, sums = self._step(state, self._placement.shard(batch))
        return state, sums, batch["index"][None]

    def state(self, step: int) -> dict[str, Any]:
        """See `Feed`."""
        return {"pipeline": "grain", "grain": self._pipeline.state()}

    def restore(self, saved: dict[str, Any]) -> None:
        """See `Feed`."""
        _check_kind(saved, "grain")
        self._pipeline.restore(saved["grain"])

    def close(self) -> None:
        """See `Feed`."""
        self._pipeline.close()


def choose_steps_per_dispatch(requested: int, placement: MeshPlacement, params: PyTree[Any]) -> int:
    """How many steps one dispatch of a memory feed runs at most; `requested` 0 leaves the choice open.

    On CPU a convolution's gradient is up to 40 times slower inside a loop, so only dense networks take
    several steps a dispatch there; accelerators always gain.

    Args:
      requested: the recipe's `steps_per_dispatch`.
      placement: `pmap` always runs one.
      params: the model's parameters, or their shapes.
    """
    if placement.axis_name is not None:
        return 1
    if requested:
        return requested
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(params))
    if placement.mesh.devices.flat[0].platform == "cpu":
        return 32 if dense else 1
    return 8


@functools.partial(jax.jit, static_argnums=1)
def _first(sums: Sums, count: int) -> Sums:
    return jax.tree.map(lambda x: x[:count], sums)


def _check_kind(saved: dict[str, Any], kind: str) -> None:
    if saved.get("pipeline") != kind:
        raise ValueError(f"checkpoint of pipeline {saved.get('pipeline')!r}, but this run reads with {kind!r}")
